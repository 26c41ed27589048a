"""A partial that is as long as its file and wrong in some chunks: each is replaced, and proven before it is written.

What comes may begin anywhere before what is needed, as when a server ignores a Range: bytes of
chunks that are right already are passed over. A wrong chunk costs itself and no other, and whoever
sent it is known exactly. Exclusions: which chunks are wrong (`Partial.wrong`), and whom to ask (`plan`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback.chunks import runs
from fallback.errors import DigestError

if TYPE_CHECKING:
    from fallback.chunks import Chunk, Chunks
    from fallback.ledger import Response
    from fallback.partial import Partial


class Mending:
    """The chunks of a partial that are still wrong."""

    def __init__(self, partial: Partial, wrong: Chunks) -> None:
        self._partial, self._wrong = partial, list(wrong)
        self._response: Response | None = None
        self._at = 0
        self._held = bytearray()

    @property
    def size(self) -> int:
        """Bytes that are right."""
        return self._partial.size - sum(chunk.stop - chunk.start for chunk in self._wrong)

    @property
    def stretch(self) -> tuple[int, int]:
        """The first bytes (start, stop) that are needed, as far as they are in one piece."""
        return runs(self._wrong)[0]

    @property
    def is_done(self) -> bool:
        """Whether every chunk is right."""
        return not self._wrong

    def begin(self, response: Response, stop: int | None) -> int:
        """A response's body begins at `response.start`, and was asked for up to `stop` (None: the end).

        Returns:
            how many bytes of it are of use.
        """
        self._response, self._at = response, response.start
        self._held.clear()
        return max(0, (self._wrong[-1].stop if stop is None else stop) - response.start)

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            DigestError: a chunk is wrong again; those before it are kept.
        """
        view = memoryview(data)
        while view:
            begun = self._at - len(self._held)
            chunk = next((each for each in self._wrong if each.start >= begun), None)
            if chunk is None:
                return
            before = chunk.start - self._at
            taken = min(before if before > 0 else chunk.stop - self._at, len(view))
            if before <= 0:
                self._held += view[:taken]
            self._at += taken
            view = view[taken:]
            if self._at == chunk.stop:
                self._place(chunk)

    def _place(self, chunk: Chunk) -> None:
        held, self._held = self._held, bytearray()
        if not chunk.is_of(held):
            raise DigestError(expected=chunk.digest.hex(), seen=hashlib.sha256(held).hexdigest())
        assert self._response is not None, "`begin` came before"
        self._partial.patch(held, replace(self._response, start=chunk.start, stop=chunk.stop))
        self._wrong.remove(chunk)
