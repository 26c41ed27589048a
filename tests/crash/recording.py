"""A scenario's run, recorded operation by operation, and put on a real folder again as a power cut would leave it.

A row of the database remembers a file's inode and times, which a copy cannot have. So each row is given
those of the copy wherever it fitted the same inode before the run or after it, and the size is right: as if
times were always kept, the worst that a disk can do. Exclusions: what a disk may lose (`powercut`), and what must hold then (the tests).
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash import strace
from tests.crash.operations import CALLS, Files, Operation, record
from tests.crash.powercut import Disk

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.crash.scenarios import Scenario


Mark = tuple[str, int, int]
"""Inode, mtime_ns, ctime_ns, as a row has them."""


@dataclass(frozen=True)
class Recording:
    """What was there before, what was done, and the real inode and times of each number before and after it."""

    root: Path
    before: Disk
    operations: tuple[Operation, ...]
    marks: frozenset[tuple[int, Mark]]

    @classmethod
    def of(cls, scenario: Scenario, unsynced: Collection[str] = ()) -> Recording:
        """Run it; `unsynced` files were put there a moment before, by somebody who synced nothing."""
        scenario.prepare()
        stage = scenario.stage
        names = Files.of(stage.folder)
        disk, marks = Disk.of(names.names), _marks(names)
        put = tuple(_taken(disk, str(stage.models_dir / name)) for name in unsynced)
        log = stage.folder.with_name("strace.log")
        through = strace.writing(log, CALLS, string_bytes=1 << 22)
        done = stage.run(*scenario.args, through=through)
        assert done.code == 0, done.err
        operations = record(log, names)
        log.unlink()
        created = [each for pair in put for each in pair]
        return cls(stage.folder, disk, (*created, *operations), marks | _marks(names))

    def laid_out(self, disk: Disk, folder: Path) -> dict[str, bytes]:
        """Write the disk's files below `folder`, with rows that fit them; returns them by their paths below it."""
        found: dict[str, bytes] = {}
        for name, data in disk.files().items():
            path = Path(name).relative_to(self.root)
            if not path.name.endswith("-shm"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
                found[path.as_posix()] = bytes(data)
        with contextlib.suppress(sqlite3.Error):  # a torn database is the engine's to heal
            self._fit_rows(disk, folder / "models")
        return found

    def _fit_rows(self, disk: Disk, models_dir: Path) -> None:
        state = models_dir / ".fallback" / "state.sqlite3"
        if not state.exists():
            return
        with contextlib.closing(sqlite3.connect(state, isolation_level=None)) as db:
            for path, size, *mark in db.execute(
                "SELECT path, size, inode, mtime_ns, ctime_ns FROM verified"
            ).fetchall():
                number = disk.names.get(str(self.root / "models" / path), -1)
                copy = models_dir / path
                if (number, tuple(mark)) in self.marks and copy.exists() and copy.stat().st_size == size:
                    about = copy.stat()
                    now = (about.st_mtime_ns, about.st_ctime_ns, str(about.st_ino), path)
                    db.execute(
                        "UPDATE verified SET mtime_ns = ?, ctime_ns = ?, inode = ? WHERE path = ?", now
                    )


def _taken(disk: Disk, name: str) -> tuple[Operation, Operation]:
    """Take a file off the disk, and give what put it there as operations."""
    inode = disk.names.pop(name)
    data = bytes(disk.bytes_of.pop(inode))
    return Operation("create", name, inode), Operation("write", name, inode, data=data)


def _marks(files: Files) -> frozenset[tuple[int, Mark]]:
    there = {number: Path(name) for name, number in files.names.items()}
    abouts = {number: path.lstat() for number, path in there.items() if path.exists()}
    return frozenset(
        (number, (str(about.st_ino), about.st_mtime_ns, about.st_ctime_ns))
        for number, about in abouts.items()
    )
