"""Faults of the headers: an encoding nobody asked for, too many of them, or oddly spelled."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.faults.base import Fault, not_negative
from fakes.steps import Data

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve

_MIB = 1 << 20
_MOST_HEAD = 200_000_000  # bytes; a head is made in memory, and nobody else is served meanwhile


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
        return _gzipped(answer, gzip.compress(plain, compresslevel=0, mtime=0))


@dataclass(frozen=True)
class GzipBomb(Fault, name="gzip-bomb", numbers=(37,), group="headers"):
    """Content-Encoding: gzip, and a short body that decodes to `mib` MiB of zeros (a gzip member for each)."""

    mib: int = 1024

    def __post_init__(self) -> None:
        not_negative(self, "mib", most=1 << 20)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """A thousandth of what it decodes to, in place of a file."""
        answer = serve(request)
        return answer if answer.total is None else _bomb(answer, self.mib)


@functools.cache
def _zeros() -> bytes:
    return gzip.compress(bytes(_MIB), mtime=0)


def _bomb(answer: Answer, members: int) -> Answer:
    member = _zeros()
    length = len(member) * members
    answer = answer.with_headers({"Content-Encoding": "gzip", "Content-Length": str(length)})
    return dataclasses.replace(answer, body=itertools.repeat(member, members), length=length)


def _gzipped(answer: Answer, packed: bytes) -> Answer:
    answer = answer.with_headers({"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
    return dataclasses.replace(answer, body=steps.pieces(memoryview(packed)), length=len(packed))


@dataclass(frozen=True)
class HeadLength(Fault, name="head-length", numbers=(30, 45), group="headers"):
    """HEAD of a file says that it has no bytes (Content-Length: 0), or not how many; GET is right."""

    says: Literal["zero", "nothing"] = "zero"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """What some frameworks make of every HEAD: they count the body that they do not send."""
        answer = serve(request)
        if request.method != "HEAD" or answer.total is None:
            return answer
        return answer.with_headers({"Content-Length": "0" if self.says == "zero" else None})


@dataclass(frozen=True)
class HeaderFlood(Fault, name="header-flood", numbers=(35,), group="headers"):
    """The right answer under `count` headers more, each with a value of `size` bytes."""

    count: int = 1
    size: int = 10_000_000

    def __post_init__(self) -> None:
        not_negative(self, "count", "size")
        if self.count * (self.size + 1) > _MOST_HEAD:
            raise ValueError(
                f"fault {self.name!r}: count headers of size bytes are {_MOST_HEAD} bytes at most"
            )

    def answer(self, request: Request, serve: Serve) -> Answer:
        """They come before the site's own, which who gives up never sees."""
        answer = serve(request)
        value = "x" * self.size
        more = tuple((f"X-Flood-{number}", value) for number in range(1, self.count + 1))
        return dataclasses.replace(answer, headers=(*more, *answer.headers))


@dataclass(frozen=True)
class HeaderStyle(Fault, name="header-style", numbers=(86,), group="protocol"):
    """Header names in lower or upper case, or every value on a line of its own (obs-fold, RFC 9112 section 5.2)."""

    style: Literal["lower-case", "upper-case", "obs-fold"] = "lower-case"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The same head, spelled otherwise."""
        return serve(request).with_head_bent(lambda head: steps.mapped(head, self._spelled))

    def _spelled(self, head: bytes) -> bytes:
        if self.style == "obs-fold":
            return re.sub(rb"(\r\n[^:\r\n]+:) ", rb"\1\r\n ", head)
        spell = bytes.lower if self.style == "lower-case" else bytes.upper
        return re.sub(rb"\r\n[^:\r\n]+:", lambda name: spell(name[0]), head)
