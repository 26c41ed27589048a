"""Which part of a file a request is for: Range and the conditions (RFC 9110, 13 and 14). Pure.

One range is served. A Range that is none of bytes, cannot be read, or names several, is ignored, as the
section allows (14.2), and so is one of an empty file. Exclusions: what is there to be given, and the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """The answer's status, and the bytes (start, stop) it is about: 200, 206, 304, 412 or 416."""

    status: int
    start: int
    stop: int


def asked(method: str, headers: Mapping[str, str], size: int, etag: str) -> Part:
    """What a GET or HEAD with these headers gets of a file of `size` bytes whose strong entity tag is `etag`."""
    if "if-match" in headers and not _names(headers["if-match"], etag, weakly=False):
        return Part(412, 0, 0)
    if "if-none-match" in headers and _names(headers["if-none-match"], etag, weakly=True):
        return Part(304, 0, 0)
    match = _RANGE.fullmatch(headers.get("range", ""))
    # If-Range wants a strong comparison; a date is never that of a file named by its digest (13.1.5).
    is_same = headers.get("if-range", etag).strip() == etag
    if method != "GET" or match is None or not is_same or size == 0:
        return Part(200, 0, size)
    return _within(match[1], match[2], size)


def _within(first: str, last: str, size: int) -> Part:
    if not first and not last:
        return Part(200, 0, size)
    if first and last and int(last) < int(first):
        return Part(200, 0, size)
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    return Part(206, start, stop) if start < stop else Part(416, 0, 0)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags names this one (13.1.1, 13.1.2)."""
    tags = {tag.strip() for tag in header.split(",")}
    return "*" in tags or etag in tags or (weakly and f"W/{etag}" in tags)
