"""Which part of a file a request gets: Range, If-Range, If-None-Match (RFC 9110 sections 13 and 14), and the answer.

One range is served; of several, the first, which the RFC allows and boxo does. Range counts for GET alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol

from fakes.answer import Answer, text_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request
    from fakes.steps import Steps


class Content(Protocol):
    """Bytes that are there, wherever they lie."""

    @property
    def size(self) -> int:
        """How many."""

    def steps(self, start: int, stop: int) -> Steps:
        """Those from `start` up to, not including, `stop`, as what is to be sent."""


class MalformedRangeError(ValueError):
    """Not a Range header of bytes that the RFC knows."""


class UnsatisfiableRangeError(ValueError):
    """A well-formed Range with no byte of this file in it."""


def parse_range(header: str, size: int) -> tuple[int, int]:
    """The first range of a Range header as (start, stop), stop not included, within a file of `size` bytes."""
    unit, _, ranges = header.partition("=")
    match = re.fullmatch(r"(\d{0,19})-(\d{0,19})", ranges.split(",", maxsplit=1)[0].strip())
    if unit.lower() != "bytes" or match is None or not (match[1] or match[2]):
        raise MalformedRangeError(header)
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            raise MalformedRangeError(header)
    if start >= size or start >= stop:
        raise UnsatisfiableRangeError(header)
    return start, stop


def file_answer(
    request: Request,
    content: Content,
    etag: str,
    headers: Mapping[str, str],
    *,
    malformed: Literal["refuse", "ignore"] = "ignore",
) -> Answer:
    """The answer to GET or HEAD of a file whose quoted entity tag is `etag`; a malformed Range gets a 400, or is ignored."""
    headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
    if tag_matches(request.header("if-none-match"), etag):
        return Answer(304, tuple(headers.items()))
    size = content.size
    try:
        part = _part(request, size, etag)
    except UnsatisfiableRangeError:
        refusal = {"Content-Range": f"bytes */{size}"}
        return text_answer(416, "invalid range: failed to overlap\n", refusal)
    except MalformedRangeError as error:
        if malformed == "refuse":
            return text_answer(400, f"invalid range request: {error}\n")
        part = None
    start, stop = part or (0, size)
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    return Answer(
        206 if part else 200,
        tuple(headers.items()),
        body=content.steps(start, stop),
        length=stop - start,
        first=start,
        total=size,
    )


def _part(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    header = request.header("range")
    # boxo answers a Range on an empty file with a 200: there is nothing to be unsatisfied about.
    if header is None or request.method != "GET" or size == 0:
        return None
    if_range = request.header("if-range")
    # A date here never equals our tag, so it gets the whole file: correct, if not the most that could be done.
    if if_range is not None and if_range.strip() != etag:
        return None
    return parse_range(header, size)


def tag_matches(header: str | None, etag: str) -> bool:
    """Weak comparison of a list of tags, as If-None-Match asks for (RFC 9110 section 13.1.2)."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags
