"""What stands at the first file's final name before the client runs."""

from __future__ import annotations

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
}
