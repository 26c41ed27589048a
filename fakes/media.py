"""Content types by the end of a file's name, the same on every machine, and Content-Disposition."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

_BY_SUFFIX = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}


def media_type(path: str) -> str:
    """The type for a file of that name; bytes are bytes where nothing better is known."""
    dot = path.rfind(".")
    return _BY_SUFFIX.get(path[dot:] if dot >= 0 else "", "application/octet-stream")


def disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """Content-Disposition with the name twice: as it is (RFC 8187), and for old clients with what they may not read left out."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\' else "_" for letter in name)
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"
