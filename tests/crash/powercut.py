"""What a disk may hold when the power goes, at any point of a run, by what the run did (`operations`).

What was synced is there: a write once its inode was synced after it, a name once its folder was. Of all
else, a `Loss` says what was lost: a disk may keep any of it, in any order, a write also in part, or the
length of a file without its bytes. Exclusions: a disk that lies about what it has synced.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.crash.operations import Operation

SECTOR = 512
Fate = Literal["kept", "lost", "zeros", "torn"]
Loss = "Callable[[Operation], Fate]"

NAMES = {"create", "mkdir", "rename", "unlink"}


def nothing_is_lost(_: Operation) -> Fate:
    """As after a kill."""
    return "kept"


def all_is_lost(_: Operation) -> Fate:
    """What was not synced never was."""
    return "lost"


def bytes_are_lost(operation: Operation) -> Fate:
    """Names and lengths are there, and zeros behind them: metadata that came before its data."""
    return "kept" if operation.kind in NAMES else "zeros"


def names_are_lost(operation: Operation) -> Fate:
    """Bytes are there, under the names of before."""
    return "lost" if operation.kind in NAMES else "kept"


def at_random(seed: str) -> Callable[[Operation], Fate]:
    """Anything to anything: reordered, dropped, torn."""
    fates = random.Random(seed)
    return lambda _: fates.choice(("kept", "lost", "zeros", "torn"))


@dataclass
class Disk:
    """Inodes by number, and which number has which name."""

    bytes_of: dict[int, bytearray] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    folders: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, names: dict[str, int]) -> Disk:
        """The files of these names as they are now, all of them synced long ago."""
        disk = cls(names=dict(names))
        for name, inode in names.items():
            path = Path(name)
            if path.is_dir():
                disk.folders.add(inode)
            else:
                disk.bytes_of[inode] = bytearray(path.read_bytes())
        return disk

    def copy(self) -> Disk:
        """Another one like it."""
        held = {inode: bytearray(data) for inode, data in self.bytes_of.items()}
        return Disk(held, dict(self.names), set(self.folders))

    def apply(self, operation: Operation, fate: Fate) -> None:
        """Let it happen, as far as its fate has it."""
        match operation.kind:
            case "create" | "mkdir":
                self.names[operation.path] = operation.inode
                if operation.kind == "mkdir":
                    self.folders.add(operation.inode)
            case "rename":
                if self.names.get(operation.path) == operation.inode:
                    del self.names[operation.path]
                self.names[operation.to] = operation.inode
            case "unlink":
                if self.names.get(operation.path) == operation.inode:
                    del self.names[operation.path]
            case "truncate":
                held = self.bytes_of.setdefault(operation.inode, bytearray())
                held[operation.offset :] = bytes(max(0, operation.offset - len(held)))
            case "write":
                self._write(operation, fate)
            case "sync":
                pass

    def _write(self, operation: Operation, fate: Fate) -> None:
        data, start = operation.data, operation.offset
        if fate == "zeros":
            data = bytes(len(data))
        elif fate == "torn":
            data = data[: len(data) // 2 // SECTOR * SECTOR]
        held = self.bytes_of.setdefault(operation.inode, bytearray())
        held.extend(bytes(max(0, start + len(data) - len(held))))
        held[start : start + len(data)] = data

    def files(self) -> dict[str, bytearray]:
        """What can be found by its name: all folders above it are there."""
        there = {name for name, inode in self.names.items() if inode in self.folders}
        return {
            name: self.bytes_of.get(inode, bytearray())
            for name, inode in self.names.items()
            if inode not in self.folders and self._is_below(name, there)
        }

    @staticmethod
    def _is_below(name: str, folders: set[str]) -> bool:
        root = min(folders, key=len, default="")
        return all(str(folder) in folders for folder in Path(name).parents if len(str(folder)) >= len(root))


def cut(before: Disk, operations: Sequence[Operation], point: int, loss: Callable[[Operation], Fate]) -> Disk:
    """The disk after the power went when `point` operations were done."""
    disk = before.copy()
    synced: dict[int, int] = {}
    for place, operation in enumerate(operations[:point]):
        if operation.kind == "sync":
            synced[operation.inode] = place
    folders = dict(before.names) | {each.path: each.inode for each in operations if each.kind == "mkdir"}
    for place, operation in enumerate(operations[:point]):
        # A rename from one folder to another lasts with the new name: file systems with a journal write both at once.
        named = os.path.dirname(operation.to or operation.path)  # noqa: PTH120
        kept_by = folders[named] if operation.kind in NAMES else operation.inode
        fate = "kept" if synced.get(kept_by, -1) > place else loss(operation)
        if fate != "lost" and (operation.kind not in NAMES or fate == "kept"):
            disk.apply(operation, fate)
    return disk
