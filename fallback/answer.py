"""What comes back when a source is asked: a head, and a body in pieces. How it comes is others' to know.

An `Answer` is of HTTP (`http_answer`) or of a stream that is none (`streams`); who proves its bytes sees no
difference. Exclusions: nothing is asked or read here, and no byte is judged (`judging`, `verify`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from fallback.exchange import Head

PIECE = 1 << 20
"""The largest piece, and so the one buffer of P3."""

LEAST = 4 << 10
"""The smallest that is waited for."""

SLOW_BYTES_S = 256 << 10
"""Below this rate a read takes what has come instead of waiting for a full piece."""

EXCERPT = 1024
DRAIN = 64 << 10
"""A redirect's body up to this size is read, so that its connection can serve the next request."""


class Answer(Protocol):
    """A head that has come, and its body, which is read once, by one thread."""

    @property
    def head(self) -> Head:
        """What was said before the body."""

    @property
    def peer(self) -> str:
        """The address at the other end; "" if there is none, or only a proxy knows it."""

    def begin(self) -> None:
        """Wait for the first of the body; it stays for `pieces` to give.

        Raises:
            Failed: as `pieces`.
        """

    def pieces(self, limit: int, come: int = 0) -> Iterator[bytes]:
        """The body, up to its byte `limit`, in pieces that take about a quarter second each.

        `come`: bytes of it that earlier pieces were; those are left as they are, and here it goes on.

        Raises:
            Failed: Interrupted or Malformed; what was yielded before is what had come.
        """

    def excerpt(self) -> str:
        """The first KiB of an error's body, for people and for what only a text tells."""

    def close(self) -> None:
        """No more of it is read."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def next_size(rate: float, last: int) -> int:
    """How many bytes to wait for at `rate` (bytes/s), when `last` came in one piece.

    What lay ready when we came says nothing of the rate: no piece is waited for that is over twice the last.
    """
    return min(PIECE, max(LEAST, min(int(rate / 4), 2 * last)))
