"""Faults of the headers: an encoding nobody asked for, and ranges not given as asked."""

from __future__ import annotations

import dataclasses
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.faults.base import Fault
from fakes.steps import Data

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class Gzip(Fault, name="gzip", numbers=(37,), group="headers"):
    """The right bytes, but with Content-Encoding: gzip, whatever was accepted."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Encode the body; Content-Length is that of the encoded bytes."""
        answer = serve(request)
        if answer.status not in {200, 206} or answer.length is None:
            return answer  # an error is left as it is; an endless body has no end to wait for
        # Stored, not squeezed: random bytes do not shrink, and everybody waits. mtime 0: the same file, the same bytes.
        plain = b"".join(bytes(step) for step in answer.body if isinstance(step, Data))
        packed = gzip.compress(plain, compresslevel=0, mtime=0)
        answer = answer.with_headers({"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
        return dataclasses.replace(answer, body=steps.pieces(memoryview(packed)), length=len(packed))


@dataclass(frozen=True)
class RangeIgnored(Fault, name="range-ignored", numbers=(70,), group="range"):
    """A Range gets 200 and the whole file."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer as if no range had been asked for."""
        return serve(request.with_headers(range=None, if_range=None))


@dataclass(frozen=True)
class WrongStart(Fault, name="wrong-start", numbers=(71,), group="range"):
    """A Range gets 206 from `shift` bytes before the place asked for; `honest` says so in Content-Range, else it lies."""

    shift: int = 1
    honest: bool = True

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer for the shifted range, as many bytes as were asked for."""
        answer = serve(request)
        if answer.status != 206 or answer.total is None or answer.length is None:
            return answer
        start = min(max(0, answer.first - self.shift), answer.total - answer.length)
        moved = serve(request.with_headers(range=f"bytes={start}-{start + answer.length - 1}", if_range=None))
        return moved if self.honest else dataclasses.replace(moved, headers=answer.headers)
