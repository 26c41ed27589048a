"""Faults of what headers claim: names that lead elsewhere, characters that end a line, digests of other bytes."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from fakes.answer import text_answer
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve

_WRONG = bytes(32)


@dataclass(frozen=True)
class Disposition(Fault, name="disposition", numbers=(38,), group="headers"):
    """The right file, and a Content-Disposition that names any path."""

    filename: str = "../../etc/x"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The name in both spellings of RFC 6266."""
        answer = serve(request)
        if answer.total is None:
            return answer
        said = f"attachment; filename=\"{self.filename}\"; filename*=UTF-8''{quote(self.filename, safe='')}"
        return answer.with_headers({"Content-Disposition": said})


@dataclass(frozen=True)
class BadHeader(Fault, name="bad-header", numbers=(39,), group="headers"):
    """A redirect's Location, or a file's ETag, with a line end or NUL in it: raw, or (`encoded`) as %0D%0A."""

    header: Literal["location", "etag"] = "location"
    kind: Literal["crlf", "cr", "nul", "encoded"] = "encoded"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Behind the line end stands what would be a header line of somebody's choice."""
        end = {"crlf": "\r\n", "cr": "\r", "nul": "\0", "encoded": "%0D%0A"}[self.kind]
        if self.header == "location":
            target = f"{quote(request.path)}?{end}X-Injected: yes"
            return text_answer(302, "", {"Location": target})
        answer = serve(request)
        tag = (answer.header("etag") or '""').rstrip('"')
        # Before the quote at the end, so that what is sent back as If-Range would carry it.
        return (
            answer if answer.total is None else answer.with_headers({"ETag": f'{tag}{end}X-Injected: yes"'})
        )


@dataclass(frozen=True)
class WrongDigest(Fault, name="wrong-digest", numbers=(40,), group="headers"):
    """The right bytes under digests that are not theirs: Digest, Repr-Digest (RFC 9530) and X-Linked-ETag."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Said by a file's answer, and by a Hub's redirect to one."""
        answer = serve(request)
        if answer.total is None and answer.header("x-linked-etag") is None:
            return answer
        told = base64.b64encode(_WRONG).decode()
        said = {"Digest": f"sha-256={told}", "Repr-Digest": f"sha-256=:{told}:"}
        return answer.with_headers({**said, "X-Linked-ETag": f'"{_WRONG.hex()}"'})
