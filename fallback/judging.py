"""What the head of an answer means: where in the file its body begins, or which outcome it is.

The table of DESIGN.md ("Outcomes"), as far as it is about statuses and headers. Exclusions: no I/O, no
byte of a body is looked at (`verify`), and nothing is decided (`plan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.outcome import (
    BlocksOnly,
    Failed,
    Malformed,
    NotHere,
    Retired,
    Throttled,
    Unavailable,
    Unreachable,
)
from fallback.sources import IpfsGateway

if TYPE_CHECKING:
    from fallback.exchange import Head, Request
    from fallback.manifest import File
    from fallback.outcome import Outcome
    from fallback.sources import Source

NO_NODE = ("could not find node", "failed to load root node", "peer does not have")
"""What some gateways say with a 500 when they mean 404 (boxo's own client reads them so)."""


def judge(source: Source, request: Request, head: Head, file: File, now: float) -> int:
    """Read the head of an answer: the offset in the file at which its body begins.

    A 416 that says the file ends where we are has no body to read: what is here may be all of it.

    Raises:
        Failed: this is not (this part of) the file; its outcome says what it is.
    """
    if head.status == 416 and request.offset and _complete(request, head, file):
        return request.offset
    if head.status not in {200, 206}:
        raise Failed(_blocks_only(source, request, head) or _refusal(source, head, now))
    if not head.framed:
        raise Failed(Malformed("a Content-Length that is no number"))
    if head.encoded:
        raise Failed(Malformed("a Content-Encoding though identity was asked for"))
    if request.by_blocks:
        return _car(request, head)
    if head.status == 206:
        return _partial(request, head, file)
    _promise(head, file)
    return 0


def _car(request: Request, head: Head) -> int:
    if head.status != 200 or head.media_type != "application/vnd.ipld.car":
        what = "another type" if head.media_type else "no type"
        raise Failed(Malformed(f"{head.status} of {what} where a CAR was asked for"))
    return request.offset


def _complete(request: Request, head: Head, file: File) -> bool:
    """The three meanings of a 416: all is here already, too much is, or the file is another there."""
    return file.size is None and head.complete_length == request.offset


def _promise(head: Head, file: File) -> None:
    """Refuse a whole answer that cannot be the file before a byte of it is read (fault 80)."""
    length = head.content_length
    html = head.media_type == "text/html" and not file.path.lower().endswith((".html", ".htm"))
    if html and (file.size is None or length != file.size):
        raise Failed(Malformed("an HTML page in the place of the file"))
    if file.sha256 is not None and file.size is not None and length not in {None, file.size}:
        raise Failed(Malformed(f"it has {length} bytes there, not the {file.size} of the manifest"))


def _partial(request: Request, head: Head, file: File) -> int:
    part = head.content_range
    if not request.is_ranged:
        raise Failed(Malformed("206 though no range was asked for"))
    if head.media_type == "multipart/byteranges" or part is None:
        raise Failed(Malformed("206 without a readable Content-Range"))
    if part.start != request.offset:
        raise Failed(Malformed(f"206 from byte {part.start} though {request.offset} was asked for"))
    if file.size is not None and part.total not in {None, file.size}:
        raise Failed(Malformed(f"it has {part.total} bytes there, not the {file.size} of the manifest"))
    return part.start


def _blocks_only(source: Source, request: Request, head: Head) -> Outcome | None:
    """A trustless gateway's 406; and 501, where a part of so large a file is to be had as blocks alone."""
    if request.by_blocks or not isinstance(source, IpfsGateway):
        return None
    if head.status == 406:
        return BlocksOnly("it gives blocks and no files (406)", always=True)
    return (
        BlocksOnly("it gives no part of this file (501)") if head.status == 501 and request.offset else None
    )


def _refusal(source: Source, head: Head, now: float) -> Outcome:
    status = head.status
    if head.location is not None:
        return Malformed(f"redirect refused ({status}): a peer leads nowhere else")
    if status in {410, 429} and head.sunset_passed(now):
        return Retired(f"{status}, and its Sunset has passed: this service was shut down")
    wait = head.retry_after_s(now)
    if status == 429 or (status == 503 and wait is not None):
        wait = head.quota_resets_s if wait is None else wait
        return Throttled(
            f"{status}, {'asks to wait' if wait is None else f'asks to wait {wait:.0f} s'}", wait
        )
    if status in {404, 406, 410, 412, 451}:
        return NotHere(f"not there ({status})")
    if status in {401, 403}:
        return source.denied(head)
    if status == 500 and any(text in head.excerpt for text in NO_NODE):
        return NotHere("not there (500, no such node)")
    if status == 407:
        return Unreachable("the proxy wants a user name and a password (407)", lasting=True)
    if status >= 500 or status in {408, 425}:
        return Unavailable(f"the server failed ({status})")
    return Malformed(f"status {status} where 200 or 206 was due")
