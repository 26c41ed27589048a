"""Faults of the body: wrong bytes, too few, or too many.

Offsets count bytes of this response's body (from its end when negative), except for `corrupt`, where they are places in
the file: a bad byte on a server's disk stays where it is, whatever range is asked for.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.answer import text_answer
from fakes.faults.base import Fault, final_status

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class Corrupt(Fault, name="corrupt", numbers=(41, 54, 110), group="body"):
    """One bit of one byte of the file is wrong: at an offset in the file, or at a fraction of it."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Flip the bit if this answer holds that byte."""
        answer = serve(request)
        if answer.total is None:
            return answer  # no part of a file: a redirect, an error
        whole = dataclasses.replace(answer, length=answer.total)
        place = min(whole.place(self.offset, self.fraction), answer.total - 1) - answer.first
        return answer.with_body(steps.flipped(answer.body, place)) if place >= 0 else answer


@dataclass(frozen=True)
class OtherFile(Fault, name="other-file", numbers=(44,), group="body"):
    """Another file of the same size: every byte is different, whatever range is asked for."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Invert every bit of a file; leave redirects and errors as they are."""
        answer = serve(request)
        return answer if answer.total is None else answer.with_body(steps.inverted(answer.body))


@dataclass(frozen=True)
class Html(Fault, name="html", numbers=(24,), group="status"):
    """200 and a page of HTML instead of the file, as from a captive portal."""

    body: str = "<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>\n"
    status: int = 200

    def __post_init__(self) -> None:
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The page."""
        del request, serve
        return text_answer(self.status, self.body, content_type="text/html; charset=utf-8")


@dataclass(frozen=True)
class Empty(Fault, name="empty", numbers=(45,), group="body"):
    """The right status and headers, but Content-Length: 0 and no body."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Drop the body and say so."""
        answer = serve(request).with_headers({"Content-Length": "0", "Transfer-Encoding": None})
        return dataclasses.replace(answer, body=(), length=0, parts=None)


@dataclass(frozen=True)
class Truncate(Fault, name="truncate", numbers=(31, 46), group="body"):
    """The full Content-Length is promised, and the connection closed (FIN) at an offset or fraction."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Close inside the body."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        return answer.with_body(steps.at(answer.body, place, steps.Close()))


@dataclass(frozen=True)
class Reset(Fault, name="reset", numbers=(46,), group="body"):
    """The full Content-Length is promised, and the connection reset (RST) at an offset or fraction."""

    offset: int | None = None
    fraction: float = 0.5

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Reset inside the body."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        return answer.with_body(steps.at(answer.body, place, steps.Reset()))


@dataclass(frozen=True)
class CutEvery(Fault, name="cut-every", numbers=(46,), group="body"):
    """No answer gives more than so many bytes, whatever its range: then FIN, or RST, as on a network that drops connections."""

    bytes: int = 20_000_000
    reset: bool = False

    def __post_init__(self) -> None:
        if self.bytes < 1:
            raise ValueError("fault 'cut-every': bytes is 1 or more; for none at all there is 'truncate'")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Cut a longer body; one that fits is whole, and its connection stays."""
        answer = serve(request)
        if answer.length is not None and answer.length <= self.bytes:
            return answer
        end = steps.Reset() if self.reset else steps.Close()
        return answer.with_body(steps.at(answer.body, self.bytes, end))


@dataclass(frozen=True)
class Endless(Fault, name="endless", numbers=(52,), group="body"):
    """The file, and then more bytes for ever; with `promise` Content-Length says what it should, else nothing."""

    promise: bool = False

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The right bytes come first, so that only a count of them helps."""
        answer = serve(request)
        if answer.total is None:
            return answer
        more = steps.endless(bytes(64 * 1024))
        answer = dataclasses.replace(answer, body=steps.chain(answer.body, more), length=None)
        return answer if self.promise else answer.until_close()
