"""What this machine may give to others: files that a row vouches for, opened by their SHA-256.

A row is believed while the open file is still what it says (P6), and looked at again with every piece: a file
that is written to in its place is given no further. Exclusions: nothing is hashed, and nobody is answered
(`server.files`); files that are known by whole paths (`fallback get`) belong to no models folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from fallback import names
from fallback.state import remembered

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.state.verified import Row


Rows = Callable[[str], "list[tuple[str, Row]]"]
"""The paths and rows of files with such a SHA-256."""


def rows_in(state_dir: Path, warn: Callable[[str], None]) -> Rows:
    """Those of the database there, as it is whenever it is asked; `warn` is told what is wrong with it."""

    def rows(sha256: str) -> list[tuple[str, Row]]:
        with remembered(state_dir, warn) as state:
            return state.verified.having(sha256)

    return rows


def is_inside(models_dir: Path, target: Path) -> bool:
    """Whether no link leads from the models folder to somewhere else on the way to `target` (P8)."""
    root, folder = os.path.realpath(models_dir), os.path.realpath(target.parent)
    return os.path.commonpath((root, folder)) == root


class ChangedError(Exception):
    """What was vouched for is not what is there now."""


class Offer(Protocol):
    """An open file, all or a part of which can be given."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""

    def reach(self, start: int, stop: int) -> int:
        """Up to which byte it can be given from `start` on, at most `stop`; `start`: nothing of it can."""

    def read(self, start: int, stop: int) -> bytes:
        """These bytes.

        Raises:
            ChangedError: they are not what they were.
            OSError: the disk failed.
        """

    def close(self) -> None:
        """Let go of it."""


class Shelf:
    """The files of the models folder, by SHA-256; `rows` says which are to have these bytes."""

    def __init__(self, models_dir: Path, rows: Rows) -> None:
        self._root, self._rows = models_dir, rows

    def take(self, sha256: str) -> Offer | None:
        """The file with these bytes, open; None if there is none that a row vouches for."""
        for path, row in self._rows(sha256):
            whole = None if names.problem(path) else self._opened(path, row)
            if whole is not None:
                return whole
        return None

    def _opened(self, path: str, row: Row) -> Whole | None:
        target = self._root / path
        if not is_inside(self._root, target):
            return None
        try:
            # A pipe that has taken the file's name would be waited for.
            descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) and row.matches(about, row.sha256):
            return Whole(descriptor, row)
        os.close(descriptor)
        return None


class Whole:
    """A file that is here and vouched for. `descriptor` is its own from now on."""

    def __init__(self, descriptor: int, row: Row) -> None:
        self._descriptor, self._row = descriptor, row

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self._row.size

    def reach(self, start: int, stop: int) -> int:  # noqa: ARG002 - all of it is here
        """To the end."""
        return stop

    def read(self, start: int, stop: int) -> bytes:
        """These bytes, from a file that nobody has written to."""
        data = os.pread(self._descriptor, stop - start, start)
        about = os.fstat(self._descriptor)
        # Not the ctime: who removes or replaces the name changes no byte of what is open here.
        if (about.st_size, about.st_mtime_ns) != (self._row.size, self._row.mtime_ns) or not data:
            raise ChangedError
        return data

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
