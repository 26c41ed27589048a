"""Faults of whole stretches of a file: in the wrong order, missing, wrong from some byte on, or one file too many or few.

Places are those in the file, as in `corrupt`: whatever range is asked for, the same bytes are wrong.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.answer import place
from fakes.faults.base import Fault, not_negative

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.answer import Answer, Request, Serve

    Bend = Callable[[int, bytes], bytes]
    """A piece of a file by its place in the file -> what is sent instead, as long."""


@dataclass(frozen=True)
class SwappedBlocks(Fault, name="swapped-blocks", numbers=(42,), group="body"):
    """The file's first two blocks of `block` bytes (halves of a file that has no two) have changed places."""

    block: int = 65_536

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError("fault 'swapped-blocks': block is 1 byte or more")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Every byte is the file's own, only not there."""
        answer = serve(request)
        if answer.total is None or answer.length is None:
            return answer
        block = min(self.block, answer.total // 2)
        whole = serve(request.with_headers(range=None, if_range=None))
        start = steps.until(whole.body, 2 * block)  # and not all of a file of 200 MB
        swapped = b"".join(bytes(step) for step in start if isinstance(step, steps.Data))
        swapped = swapped[block:] + swapped[:block]

        def bend(start: int, data: bytes) -> bytes:
            return swapped[start : start + len(data)] + data[max(0, len(swapped) - start) :]

        return _bent(answer, bend)


@dataclass(frozen=True)
class Hole(Fault, name="hole", numbers=(43,), group="body"):
    """`length` bytes of the file from an offset or fraction on are zeros, as in a sparse file after a crash."""

    offset: int | None = None
    fraction: float = 0.5
    length: int = 65_536

    def __post_init__(self) -> None:
        not_negative(self, "length")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """As long as it should be."""
        answer = serve(request)
        begin = place(answer.total or 0, self.offset, self.fraction)
        end = begin + self.length

        def bend(start: int, data: bytes) -> bytes:
            low, high = (min(max(edge - start, 0), len(data)) for edge in (begin, end))
            return data[:low] + bytes(high - low) + data[high:]

        return _bent(answer, bend)


@dataclass(frozen=True)
class GoodStart(Fault, name="good-start", numbers=(109,), group="hostile"):
    """HEAD and the file's first `good` bytes are right, every byte behind them is wrong."""

    good: int = 1_000_000

    def __post_init__(self) -> None:
        not_negative(self, "good")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Whoever judges a source by its first answer, or its first chunk, is taken in."""

        def bend(start: int, data: bytes) -> bytes:
            right = max(0, self.good - start)
            return data[:right] + data[right:].translate(steps.INVERTED)

        return _bent(serve(request), bend)


@dataclass(frozen=True)
class OtherSize(Fault, name="other-size", numbers=(80,), group="range"):
    """A file that is `more` bytes longer (zeros), or shorter when negative, and every header says so."""

    more: int = 1

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Another file, as its source honestly has it. Ranges of it are not served: 200 and all of it."""
        answer = serve(request.with_headers(range=None, if_range=None))
        if answer.total is None or answer.status != 200:
            return answer
        size = max(0, answer.total + self.more)
        longer = steps.chain(answer.body, steps.until(steps.endless(bytes(64 * 1024)), self.more))
        body = longer if self.more >= 0 else steps.until(answer.body, size)
        answer = answer.with_headers({"Content-Length": str(size)})
        return dataclasses.replace(answer, body=body, length=size, total=size)


def _bent(answer: Answer, bend: Bend) -> Answer:
    return answer if answer.total is None else answer.with_body(_pieces(answer, bend))


def _pieces(answer: Answer, bend: Bend) -> Iterator[steps.Step]:
    at = answer.first
    for step in answer.body:
        if isinstance(step, steps.Data):
            yield bend(at, bytes(step))
            at += len(step)
        else:
            yield step
