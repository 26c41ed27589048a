"""Faults of framing: where a body ends, said otherwise, wrongly, or twice."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class NoLength(Fault, name="no-length", numbers=(30,), group="headers"):
    """The right bytes without Content-Length: in the chunked coding, or ended by closing the connection."""

    framing: Literal["chunked", "close"] = "chunked"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Take the length away and frame the body otherwise."""
        answer = serve(request)
        return answer.chunked() if self.framing == "chunked" else answer.until_close()


@dataclass(frozen=True)
class CutUnframed(Fault, name="cut-unframed", numbers=(47,), group="body"):
    """No length and no chunks, and the connection is closed (FIN) at an offset or fraction: it looks like the end."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Nothing on the connection says that bytes are missing."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        return answer.until_close().with_body(steps.at(answer.unframed, place, steps.Close()))


@dataclass(frozen=True)
class BadChunk(Fault, name="bad-chunk", numbers=(49,), group="body"):
    """A chunked body in which, at an offset or fraction, a chunk's size is no number (MALFORMED_RESPONSE_CHUNK)."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Whole chunks up to that place, then nonsense, then the end of the connection."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        # The nonsense must not be wrapped in a chunk of its own, so what comes before is wrapped alone.
        good = list(steps.until(answer.unframed, place))
        wrapped = list(steps.chunked(good))[:-1]
        nonsense = (b"xyz\r\nnot a chunk\r\n", steps.Close())
        return answer.chunked().with_body((*wrapped, *nonsense))


@dataclass(frozen=True)
class ChunkedCut(Fault, name="chunked-cut", numbers=(48,), group="body"):
    """A chunked body whose connection is closed (FIN) at an offset or fraction: after a chunk, or `inside` one."""

    offset: int | None = None
    fraction: float = 0.5
    inside: bool = False

    def answer(self, request: Request, serve: Serve) -> Answer:
        """No last chunk, so nothing but that says that bytes are missing; inside, one chunk promises the whole body."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        cut = steps.at(answer.unframed, place, steps.Close())
        if self.inside:
            promise = b"%x\r\n" % (answer.length or 0)
            return answer.chunked().with_body(steps.chain((promise,), cut))
        return answer.chunked().with_body(steps.chunked(cut))


@dataclass(frozen=True)
class TrailingGarbage(Fault, name="trailing-garbage", numbers=(51,), group="body"):
    """The right answer, and bytes behind its end: behind Content-Length, or behind the last chunk."""

    text: str = "trailing garbage\r\n"
    framing: Literal["length", "chunked"] = "length"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The connection is kept if the client likes: the next answer there begins with garbage."""
        answer = serve(request)
        answer = answer.chunked() if self.framing == "chunked" else answer
        return dataclasses.replace(answer, after=steps.chain(answer.after, (self.text.encode(),)))


@dataclass(frozen=True)
class ContentLength(Fault, name="content-length", numbers=(32, 33), group="headers"):
    """All the bytes, but a Content-Length that is too small (half of it), negative, a word, or there twice and different."""

    kind: Literal["small", "negative", "word", "twice"] = "small"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Say it wrong; the body is sent whole."""
        answer = serve(request)
        length = answer.length or 0
        said = {
            "small": [str(length // 2)],
            "negative": [str(-length)],
            "word": ["abc"],
            "twice": [str(length), str(length // 2)],
        }[self.kind]
        answer = answer.with_headers({"Content-Length": None})
        lines = tuple(("Content-Length", value) for value in said)
        return dataclasses.replace(answer, headers=(*answer.headers, *lines))


@dataclass(frozen=True)
class LengthAndChunks(Fault, name="length-and-chunks", numbers=(34,), group="headers"):
    """A chunked body under a head with both Transfer-Encoding and Content-Length (request smuggling's old friend)."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The length is that of the file, so who believes it gets the chunks' own sizes into the file."""
        answer = serve(request)
        return answer.chunked().with_headers({"Content-Length": str(answer.length or 0)})
