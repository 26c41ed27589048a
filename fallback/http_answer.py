"""The answer to an HTTP request: its body in pieces that follow the rate, read from under watch.

Exclusions: nothing is sent (`transport`), and no byte is judged (`judging`, `verify`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from fallback.answer import DRAIN, EXCERPT, SLOW_BYTES_S, next_size
from fallback.foreign import FOREIGN, translate
from fallback.outcome import Failed
from fallback.watchdog import WATCHDOG, killed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import requests

    from fallback.exchange import Head
    from fallback.watchdog import Watch

FRAMING, FRAMING_SLACK = 16, 1 << 20
"""What a body may cost on the wire: so many bytes for each of its own, and so many besides.

A chunk of one byte costs six. Chunk extensions and trailers may be of any length, and a server could
send nothing else for ever, at full speed (P3).
"""


class HttpAnswer:
    """A response whose head has come, from `peer`'s address; its body is read once, by one thread."""

    def __init__(self, head: Head, response: requests.Response, watch: Watch) -> None:
        self.head, self.peer = head, watch.peer
        self._response = response
        self._watch = watch
        self._begun: bytes | None = None

    def begin(self) -> None:
        """Wait for the first of the body; it stays for `pieces` to give.

        Raises:
            Failed: as `pieces`.
        """
        self._begun = next(self._read(DRAIN), b"")

    def pieces(self, limit: int, come: int = 0) -> Iterator[bytes]:
        """As `Answer.pieces`.

        Raises:
            Failed: Interrupted or Malformed; what was yielded before is what had come.
        """
        begun, self._begun = self._begun, None
        if begun is None:
            yield from self._read(limit, come)
        elif begun[:limit]:
            yield begun[:limit]
            yield from self._read(limit, len(begun))

    def _read(self, limit: int, come: int = 0) -> Iterator[bytes]:
        """The body up to its byte `limit`, of which `come` bytes have been read."""
        raw, watch = self._response.raw, self._watch
        watch.enter("body")
        left, rate, last = limit - come, 0.0, 0
        while left > 0:
            began = time.monotonic()
            is_slow = rate < SLOW_BYTES_S
            size = min(left, DRAIN if is_slow else next_size(rate, last))
            try:
                watch.allow(FRAMING_SLACK + FRAMING * (limit - left + size))
                data = raw.read1(size) if is_slow else raw.read(size)
            except FOREIGN as error:
                raise Failed(translate(watch.broke or error, watch)) from error
            if not data:
                break
            last = len(data)
            left -= last
            rate = last / max(time.monotonic() - began, 1e-6)
            yield data
        if watch.killed:
            raise Failed(killed(watch))
        if watch.broke is not None and left > 0:
            raise Failed(translate(watch.broke, watch))

    def excerpt(self) -> str:
        """The first KiB of an error's body, for people and for what only a text tells."""
        return b"".join(self.pieces(EXCERPT)).decode("utf-8", "replace")

    def close(self) -> None:
        """Give the connection back if the body was read to its announced end, else drop it."""
        raw = self._response.raw
        if getattr(raw, "length_remaining", None) == 0 and not self._watch.killed:
            try:
                raw.read(1)  # returns at once, and lets urllib3 see that the body is over
            except FOREIGN:
                pass
            else:
                raw.release_conn()
        self._response.close()
        WATCHDOG.release(self._watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
