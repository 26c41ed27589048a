"""A form (RFC 7578) that is made as it is sent: its parts are made when they are due, and its size is known before.

Exclusions: nothing is sent here (`transport`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3.fields import format_multipart_header_param

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """A field; a file if it has a `filename`. `pieces` makes its `size` bytes."""

    name: str
    pieces: Callable[[], Iterable[bytes]]
    size: int
    filename: str | None = None

    @classmethod
    def text(cls, name: str, value: str) -> Part:
        """A field of text."""
        data = value.encode()
        return cls(name, lambda: (data,), len(data))

    def head(self) -> bytes:
        """Its headers."""
        said = f"Content-Disposition: form-data; {format_multipart_header_param('name', self.name)}"
        if self.filename is not None:
            said += f"; {format_multipart_header_param('filename', self.filename)}"
            said += "\r\nContent-Type: application/octet-stream"
        return said.encode() + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Form:
    """Parts in order."""

    parts: Sequence[Part]
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def media(self) -> str:
        """Its Content-Type."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """Bytes of it in all."""
        line = len(self.boundary) + 4  # two dashes and a line break
        return sum(line + len(part.head()) + part.size + 2 for part in self.parts) + line + 2

    def pieces(self) -> Iterator[bytes]:
        """Its bytes."""
        line = b"--" + self.boundary.encode()
        for part in self.parts:
            yield line + b"\r\n" + part.head()
            yield from part.pieces()
            yield b"\r\n"
        yield line + b"--\r\n"
