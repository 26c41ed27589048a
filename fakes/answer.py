"""A request as a fake sees it, and the answer it means to give, both as plain values.

A site is a function from a request to an answer; a fault wraps such a function. The answer says everything that will
happen on the connection, mishaps included, and nothing has happened yet: `fakes.play` does it.
"""

from __future__ import annotations

import dataclasses
import email.utils
import http
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.steps import chunked, pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.steps import Steps


@dataclass(frozen=True)
class Request:
    """One request: `path` decoded, `raw_path` as sent, header names in lower case, `client` as address:port."""

    server: str
    method: str
    path: str
    raw_path: str = ""
    query: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    client: str = ""
    body: bytes | memoryview = b""

    def header(self, name: str) -> str | None:
        """A header's value by its name in lower case."""
        return self.headers.get(name)

    def with_headers(self, **headers: str | None) -> Request:
        """The same request with these headers in place of its own (`if_range` sets If-Range); None takes one away."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {**self.headers, **names}
        return dataclasses.replace(
            self, headers={name: value for name, value in merged.items() if value is not None}
        )


@dataclass(frozen=True)
class Answer:
    """One answer, to be played once.

    `length` is the true number of bytes in `body`, None when endless; `first` says which byte of the file the body
    begins with, and `total` how long that file is (None when the body is no part of a file). `head`, if given, is sent
    raw in place of status line and headers, and `bend_head` makes of the head's bytes the steps that send it. `before` is
    played before the head, `after` when the body is through. `parts` is a chunked body before it was chunked, a step for
    each of its parts, where those mean something: a CAR's header and blocks.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: Steps = ()
    length: int | None = 0
    first: int = 0
    total: int | None = None
    head: bytes | None = None
    bend_head: Callable[[Steps], Steps] | None = None
    before: Steps = ()
    after: Steps = ()
    parts: Steps | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, headers: Mapping[str, str | None]) -> Answer:
        """The same answer with these headers in place of those of the same name; None takes one away."""
        changed = {name.lower() for name in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in changed)
        added = tuple((name, value) for name, value in headers.items() if value is not None)
        return dataclasses.replace(self, headers=kept + added)

    def with_body(self, body: Steps) -> Answer:
        """The same answer with other steps for its body; what it says about itself stays as it is."""
        return dataclasses.replace(self, body=body)

    def with_head_bent(self, bend: Callable[[Steps], Steps]) -> Answer:
        """The same answer with its head bent once more, after what bends it already."""
        inner = self.bend_head
        both = bend if inner is None else lambda head: bend(inner(head))
        return dataclasses.replace(self, bend_head=both)

    def chunked(self) -> Answer:
        """The same answer in the chunked transfer coding instead of with a length."""
        if self.header("transfer-encoding") == "chunked":
            return self
        headers = {"Content-Length": None, "Transfer-Encoding": "chunked"}
        return self.with_headers(headers).with_body(chunked(self.body))

    @property
    def unframed(self) -> Steps:
        """The body without chunks around it."""
        return self.body if self.parts is None else self.parts

    def until_close(self) -> Answer:
        """The same answer without a length: the end of the connection is the end of the body."""
        headers = {"Content-Length": None, "Transfer-Encoding": None, "Connection": "close"}
        return self.with_headers(headers).with_body(self.unframed)

    def place(self, offset: int | None, fraction: float) -> int:
        """A number of bytes into the body: the offset (from the end when negative), else that fraction of the whole."""
        return place(self.length or 0, offset, fraction)

    def head_bytes(self, *, close: bool) -> bytes:
        """Status line and headers, with Date, and Connection: close where the connection ends with this answer."""
        if self.head is not None:
            return self.head
        try:
            reason = http.HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        headers = [("Date", email.utils.formatdate(usegmt=True)), *self.headers]
        if close and self.header("connection") is None:
            headers.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        return b"\r\n".join(map(_wire, lines))


Serve = Callable[[Request], Answer]


def _wire(line: str) -> bytes:
    """As servers send it: a byte for each character, or UTF-8 where that cannot be (RFC 9110 section 5.5: opaque)."""
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode()


def place(length: int, offset: int | None, fraction: float) -> int:
    """A place within `length` bytes: the offset (from the end when negative), else that fraction of the whole."""
    if offset is None:
        return int(length * fraction)
    return offset if offset >= 0 else max(0, length + offset)


def text_answer(
    status: int,
    text: str,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "text/plain; charset=utf-8",
) -> Answer:
    """A short answer of text."""
    data = text.encode()
    pairs = {"Content-Type": content_type, "Content-Length": str(len(data)), **(headers or {})}
    return Answer(status, tuple(pairs.items()), body=pieces(memoryview(data)), length=len(data))


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """A short answer of JSON."""
    return text_answer(status, json.dumps(document), headers, content_type="application/json; charset=utf-8")
