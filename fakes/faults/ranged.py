"""Faults of ranges and resuming: parts not given as asked, and a file that is another one the next time.

Those about a 206 leave every other answer as it is. A file that changes is made of small ones: `changed` serves another
version of it under a tag of its own, and an aim says when (`first=1`: the right file from then on; `after=1`: the other
way round); `etag` and `if-range-ignored`, added after it, say what the server tells of versions, and what it heeds.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.answer import text_answer
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class RangeIgnored(Fault, name="range-ignored", numbers=(70,), group="range"):
    """A Range gets 200 and the whole file; with `if_gzip` only from who accepts gzip, as CloudFront does."""

    if_gzip: bool = False

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer as if no range had been asked for."""
        heeded = self.if_gzip and "gzip" not in (request.header("accept-encoding") or "")
        return serve(request) if heeded else _whole(request, serve)


@dataclass(frozen=True)
class PartAs200(Fault, name="part-as-200", numbers=(70,), group="range"):
    """A Range gets the right part and its Content-Range, but 200 in place of 206."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Content-Length, which is the part's, is all that tells it from the whole file."""
        answer = serve(request)
        return dataclasses.replace(answer, status=200) if answer.status == 206 else answer


@dataclass(frozen=True)
class RangeRefused(Fault, name="range-refused", numbers=(26,), group="range"):
    """Every Range gets 416 and the file's size, though the file has those bytes."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Refuse a part of a file; the whole of it can be had."""
        whole = _whole(request, serve)
        if request.header("range") is None or request.method != "GET" or whole.total is None:
            return whole
        return text_answer(416, "no such range\n", {"Content-Range": f"bytes */{whole.total}"})


@dataclass(frozen=True)
class RangeUnasked(Fault, name="range-unasked", numbers=(25,), group="range"):
    """A GET without Range gets 206 and the file's beginning, up to an offset or fraction."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer as if that much had been asked for; what is left can be had by Range."""
        answer = serve(request)
        if answer.status != 200 or answer.total is None or request.method != "GET":
            return answer
        return _part(request, serve, 0, answer.place(self.offset, self.fraction))


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
        moved = _part(request, serve, start, answer.length)
        return moved if self.honest else dataclasses.replace(moved, headers=answer.headers)


@dataclass(frozen=True)
class ShortRange(Fault, name="short-range", numbers=(72,), group="range"):
    """A Range gets 206 and only a beginning of what was asked for, up to an offset or fraction, and rightly labelled."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """A server may (RFC 9110 section 15.3.7): the client asks for the rest."""
        answer = serve(request)
        if answer.status != 206 or answer.total is None or answer.length is None:
            return answer
        return _part(
            request, serve, answer.first, min(answer.place(self.offset, self.fraction), answer.length)
        )


@dataclass(frozen=True)
class OtherTotal(Fault, name="other-total", numbers=(73,), group="range"):
    """A Range gets 206 and the right bytes, of a file that is `more` bytes longer, says Content-Range."""

    more: int = 1

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Another total."""
        answer = serve(request)
        return _labelled(answer, str((answer.total or 0) + self.more))


@dataclass(frozen=True)
class StarTotal(Fault, name="star-total", numbers=(74,), group="range"):
    """A Range gets 206 and the right bytes, and "*" for the size of the file (RFC 9110 section 14.4 allows it)."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """No total."""
        return _labelled(serve(request), "*")


@dataclass(frozen=True)
class MultipartRange(Fault, name="multipart-range", numbers=(75,), group="range"):
    """A single Range gets 206 as multipart/byteranges of one part, which only several ranges may get."""

    boundary: str = "THIS_STRING_SEPARATES"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The right bytes with a part's head before them and the last boundary behind."""
        answer = serve(request)
        if answer.status != 206 or answer.length is None:
            return answer
        start = f"--{self.boundary}\r\nContent-Type: {answer.header('content-type')}\r\n"
        start += f"Content-Range: {answer.header('content-range')}\r\n\r\n"
        end = f"\r\n--{self.boundary}--\r\n"
        length = len(start) + answer.length + len(end)
        kind = f"multipart/byteranges; boundary={self.boundary}"
        headers = {"Content-Type": kind, "Content-Range": None, "Content-Length": str(length)}
        body = steps.chain((start.encode(),), answer.body, (end.encode(),))
        return dataclasses.replace(answer.with_headers(headers), body=body, length=length, total=None)


@dataclass(frozen=True)
class CorruptOnResume(Fault, name="corrupt-on-resume", numbers=(53,), group="body"):
    """Right bytes for who asks for all of them; one wrong bit, at an offset or fraction, in the body of every 206."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Flip the bit in a part."""
        answer = serve(request)
        if answer.status != 206 or not answer.length:
            return answer
        place = min(answer.place(self.offset, self.fraction), answer.length - 1)
        return answer.with_body(steps.flipped(answer.body, place))


@dataclass(frozen=True)
class Changed(Fault, name="changed", numbers=(76, 80), group="range"):
    """Another version of the file: as long, wrong in every byte, with a strong ETag of its own that If-Range heeds."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Ask the site as if its file had that tag, and invert what comes."""
        answer = _tagged(request, serve, _other_tag(request, serve))
        return answer if answer.total is None else answer.with_body(steps.inverted(answer.body))


@dataclass(frozen=True)
class ETag(Fault, name="etag", numbers=(78, 79, 80), group="range"):
    """The same bytes under another ETag: the same but weak, none at all, or a strong one that no other server has."""

    kind: Literal["weak", "none", "other"] = "weak"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Say so, and heed If-Range accordingly: never for a weak tag or none (RFC 9110 section 13.1.5)."""
        if self.kind == "other":
            return _tagged(request, serve, _other_tag(request, serve))
        site = _whole(request, serve).header("etag") or '""'
        return _tagged(request, serve, f"W/{site.removeprefix('W/')}" if self.kind == "weak" else None)


@dataclass(frozen=True)
class IfRangeIgnored(Fault, name="if-range-ignored", numbers=(77,), group="range"):
    """A Range gets its 206 whatever tag If-Range names."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer as if nothing had been said of versions."""
        return serve(request.with_headers(if_range=None))


def _whole(request: Request, serve: Serve) -> Answer:
    return serve(request.with_headers(range=None, if_range=None))


def _part(request: Request, serve: Serve, start: int, length: int) -> Answer:
    """The site's answer for that range; a part has one byte at least."""
    return serve(request.with_headers(range=f"bytes={start}-{start + max(1, length) - 1}", if_range=None))


def _labelled(answer: Answer, total: str) -> Answer:
    if answer.status != 206 or answer.total is None or answer.length is None:
        return answer
    said = f"bytes {answer.first}-{answer.first + answer.length - 1}/{total}"
    return answer.with_headers({"Content-Range": said})


def _other_tag(request: Request, serve: Serve) -> str:
    site = _whole(request, serve).header("etag") or '""'
    return '"other-' + site.removeprefix("W/").strip('"') + '"'


def _tagged(request: Request, serve: Serve, tag: str | None) -> Answer:
    """What the site would answer if its file had this tag: If-Range with any other, or with a weak one, gets the whole."""
    asked = request.header("if-range")
    matches = tag is not None and not tag.startswith("W/") and asked is not None and asked.strip() == tag
    if asked is not None and not matches:
        request = request.with_headers(range=None)
    answer = serve(request.with_headers(if_range=None, if_none_match=None))
    return answer if answer.total is None else answer.with_headers({"ETag": tag})
