"""Content types by the end of a file's name, the same on every machine (the system's own table is not asked)."""

from __future__ import annotations

_BY_SUFFIX = {
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
}


def media_type(path: str) -> str:
    """The type for a file of that name; bytes are bytes where nothing better is known."""
    dot = path.rfind(".")
    return _BY_SUFFIX.get(path[dot:] if dot >= 0 else "", "application/octet-stream")
