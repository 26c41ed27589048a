"""What clients send: a request's body, and the parts of a form in it, without holding 500 MB in memory.

A large body goes into a file without a name, which is gone with the last view of it. Parts are views of the body
(RFC 7578; RFC 2046 section 5.1.1). Only forms as programs send them are read: no part within a part, no transfer coding.
"""

from __future__ import annotations

import mmap
import re
import tempfile
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from fakes.content import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from fakes.answer import Request

_SPELLED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_NOT_QUOTED = re.compile("|".join(_SPELLED), re.IGNORECASE)
"""What a name cannot hold between quotes, and how clients spell it (WHATWG HTML, multipart/form-data); a % is a %."""

SMALL = 1 << 20  # bytes of a body that is kept in memory


class FormError(ValueError):
    """Not the form that was expected; the text is what a server would say."""


class Body:
    """A request's body as it comes."""

    def __init__(self) -> None:
        self.size = 0
        self._held = bytearray()
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self._file is None and self.size > SMALL:
            folder = scratch_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`; a mapping outlives that
            self._file.write(self._held)
            self._held.clear()
        if self._file is None:
            self._held += data
        else:
            self._file.write(data)

    def close(self) -> None:
        """Forget what came: nobody will look at it."""
        if self._file is not None:
            self._file.close()

    def view(self) -> bytes | memoryview:
        """All of it; it outlives `close`."""
        if self._file is None:
            return bytes(self._held)
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ))


@dataclass(frozen=True)
class Part:
    """A part of a form: its name, its file's name as sent (None if it is no file), and its bytes."""

    name: str
    filename: str | None
    media: str
    data: memoryview

    def text(self) -> str:
        """A field's value."""
        return bytes(self.data).decode("utf-8", "replace")


def form(request: Request) -> list[Part]:
    """The parts of a multipart/form-data request.

    Raises:
        FormError: it is none, or cut off.
    """
    kind = Message()
    kind["content-type"] = request.header("content-type") or ""
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise FormError("multipart/form-data is wanted")
    return list(_parts(memoryview(request.body), boundary.encode()))


def _parts(body: memoryview, boundary: bytes) -> Iterator[Part]:
    lines = _delimiters(body, boundary)
    start, is_last = next(lines, (0, 0, True))[1:]
    while not is_last:
        stop, end, is_last = next(lines, (0, 0, True))
        if not end:
            raise FormError("the form is cut off, or its parts are not where its boundary says")
        # The line break before a delimiter belongs to it.
        yield _part(body[start : stop - 2])
        start = end


def _delimiters(body: memoryview, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where each line that parts the form begins and ends, and whether it is the last."""
    # It begins with plain text, which is what makes the search of 500 MB quick.
    line = re.compile(re.escape(b"--" + boundary) + rb"(--)?[ \t]*(?:\r\n|\Z)")
    for found in line.finditer(body):
        if found.start() == 0 or bytes(body[found.start() - 2 : found.start()]) == b"\r\n":
            yield found.start(), found.end(), found[1] is not None


def _part(data: memoryview) -> Part:
    end = re.compile(rb"\r\n\r\n").search(data)
    if end is None:
        raise FormError("a part of the form has no end of its headers")
    headers = Message()
    for line in bytes(data[: end.start()]).decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    said = headers.get("content-disposition", "")
    fields = {
        key: _unquoted(value) for key, value in re.findall(r';\s*([\w*]+)=("(?:[^"\\]|\\.)*"|[^;]*)', said)
    }
    if not said.startswith("form-data") or "name" not in fields:
        raise FormError("a part of the form has no name")
    filename = fields.get("filename")
    return Part(
        fields["name"],
        None if filename is None else _NOT_QUOTED.sub(lambda found: _SPELLED[found[0].upper()], filename),
        headers.get_content_type(),
        data[end.end() :],
    )


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value.strip()
