"""What stands at the first file's final name before the client runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage


def _right(stage: Stage) -> None:
    for number, each in enumerate(stage.files):
        _put(stage, bytes(each.blob.view()), number)


def _first(stage: Stage) -> None:
    _put(stage, bytes(stage.files[0].blob.view()))


def _flipped(stage: Stage) -> None:
    content = bytearray(stage.files[0].blob.view())
    content[len(content) // 2] ^= 1
    _put(stage, bytes(content))


def _short(stage: Stage) -> None:
    content = stage.files[0].blob.view()
    _put(stage, bytes(content[: len(content) // 2]))


def _nearly(stage: Stage) -> None:
    """Nine tenths of it, which some take for all of it."""
    content = stage.files[0].blob.view()
    _put(stage, bytes(content[: len(content) * 9 // 10]))


def _long(stage: Stage) -> None:
    _put(stage, bytes(stage.files[0].blob.view()) + b"more")


def _old(stage: Stage) -> None:
    """An older version: other bytes, as long."""
    _put(stage, bytes(byte ^ 0xFF for byte in stage.files[0].blob.view()))


def _empty(stage: Stage) -> None:
    _put(stage, b"")


def _folder(stage: Stage) -> None:
    stage.target().mkdir(parents=True)
    (stage.target() / "somebody's.txt").write_text("keep me\n")


def _link(stage: Stage) -> None:
    """To a file that is not the client's: as long, and precious."""
    theirs = stage.sandbox / "theirs.bin"
    theirs.write_bytes(b"p" * stage.files[0].blob.size)
    stage.target().parent.mkdir(parents=True)
    stage.target().symlink_to(theirs)


def _pipe(stage: Stage) -> None:
    stage.target().parent.mkdir(parents=True)
    os.mkfifo(stage.target())


def _file_as_parent(stage: Stage) -> None:
    parent = stage.target().parent
    parent.parent.mkdir(parents=True)
    parent.write_text("keep me\n")


def _put(stage: Stage, content: bytes, number: int = 0) -> None:
    path = stage.target(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


BEFORE: dict[str, Callable[[Stage], None]] = {
    "right": _right,
    "first-right": _first,
    "flipped": _flipped,
    "short": _short,
    "nearly": _nearly,
    "long": _long,
    "old": _old,
    "empty": _empty,
    "folder": _folder,
    "link": _link,
    "pipe": _pipe,
    "file-as-parent": _file_as_parent,
}
