"""What a run did to the files below one folder, from a log of strace: writes, names and syncs, in order.

Descriptors and positions are followed, so that each write has its inode and offset, whatever its name is by
then. Exclusions: memory maps (SQLite's -shm, which no power cut outlives), and files outside the folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.crash.strace import read, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.strace import Call

CALLS = (
    "open,openat,close,read,lseek,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,link,linkat,rmdir"
)
Kind = Literal["create", "write", "truncate", "sync", "rename", "unlink", "mkdir"]


@dataclass(frozen=True)
class Operation:
    """One change, or the sync of an inode. `path` is the name it went by, `to` the new one of a rename.

    `inode` is a number of ours, of the file or folder itself; a write puts `data` at `offset`, a
    truncation ends the file there.
    """

    kind: Kind
    path: str
    inode: int
    to: str = ""
    data: bytes = b""
    offset: int = 0


@dataclass
class _Open:
    path: str
    inode: int
    position: int = 0
    append: bool = False


@dataclass
class Files:
    """The names below `root` as they are, each with a number for its inode: what was there before the run first."""

    root: Path
    names: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    open: dict[int, _Open] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Files:
        """As they are now."""
        files = cls(root)
        for path in (root, *sorted(root.rglob("*"))):
            files.number(str(path), 0 if path.is_dir() else path.stat().st_size)
        return files

    def number(self, path: str, size: int = 0) -> int:
        """A new inode of that name."""
        number = self.names[path] = len(self.sizes)
        self.sizes[number] = size
        return number

    def operations(self, log: Path) -> Iterator[Operation]:
        """What the calls in the log did, one after another."""
        for call in read(log):
            if call.result is not None and call.result >= 0:
                yield from self._of(call)

    def _of(self, call: Call) -> Iterator[Operation]:
        match call.name:
            case "open" | "openat":
                yield from self._opened(call)
            case "rename" | "renameat" | "renameat2":
                yield from self._renamed(*self._paths(call))
            case "unlink" | "unlinkat" | "rmdir":
                for path in self._paths(call):
                    if path in self.names:
                        yield Operation("unlink", path, self.names.pop(path))
            case "mkdir" | "mkdirat":
                for path in self._paths(call):
                    if self._ours(path):
                        yield Operation("mkdir", path, self.number(path))
            case "link" | "linkat":
                assert not any(self._ours(path) for path in self._paths(call)), "the engine makes no links"
            case _:
                yield from self._with_descriptor(call)

    def _opened(self, call: Call) -> Iterator[Operation]:
        [path] = self._paths(call)
        flags = call.args[2 if call.name == "openat" else 1]
        assert call.result is not None
        self.open.pop(call.result, None)
        if not self._ours(path):
            return
        if path not in self.names:
            assert "O_CREAT" in flags, path
            yield Operation("create", path, self.number(path))
        inode = self.names[path]
        self.open[call.result] = _Open(path, inode, append="O_APPEND" in flags)
        if "O_TRUNC" in flags and self.sizes[inode]:
            self.sizes[inode] = 0
            yield Operation("truncate", path, inode)

    def _renamed(self, old: str, new: str) -> Iterator[Operation]:
        if old in self.names:
            inode = self.names[new] = self.names.pop(old)
            yield Operation("rename", old, inode, to=new)

    def _with_descriptor(self, call: Call) -> Iterator[Operation]:
        number = int(call.args[0])
        opened = self.open.get(number)
        if opened is None:
            return
        assert call.result is not None
        match call.name:
            case "close":
                del self.open[number]
            case "read":
                opened.position += call.result
            case "lseek":
                opened.position = call.result
            case "write":
                at = self.sizes[opened.inode] if opened.append else opened.position
                opened.position = at + call.result
                yield self._written(opened, text(call.args[1])[: call.result], at)
            case "pwrite64":
                yield self._written(opened, text(call.args[1])[: call.result], int(call.args[3]))
            case "ftruncate":
                self.sizes[opened.inode] = int(call.args[1])
                yield Operation("truncate", opened.path, opened.inode, offset=int(call.args[1]))
            case "fsync" | "fdatasync":
                yield Operation("sync", opened.path, opened.inode)
            case _:
                raise AssertionError(call.name)

    def _written(self, opened: _Open, data: bytes, offset: int) -> Operation:
        self.sizes[opened.inode] = max(self.sizes[opened.inode], offset + len(data))
        return Operation("write", opened.path, opened.inode, data=data, offset=offset)

    def _paths(self, call: Call) -> list[str]:
        pairs = zip(("", *call.args), call.args, strict=False)
        return [self._path(each, before) for before, each in pairs if each.startswith('"')]

    def _path(self, quoted: str, folder: str) -> str:
        """Of a name, and what stands before it in the call: the descriptor of a folder, in those that end in `at`."""
        base = str(self.root)
        if folder.isdigit():
            opened = self.open.get(int(folder))
            base = opened.path if opened else os.sep  # not below the root
        return os.path.normpath(os.path.join(base, os.fsdecode(text(quoted))))  # noqa: PTH118 - as the kernel has it

    def _ours(self, path: str) -> bool:
        return path == str(self.root) or path.startswith(f"{self.root}{os.sep}")


def record(log: Path, before: Files) -> tuple[Operation, ...]:
    """All that a run did, by its log; `before` is how things were, and is how they are after it."""
    return tuple(before.operations(log))
