"""Looks at final names all the while a client runs: other bytes than the right ones there, at any instant, are a violation.

What stood there before the run (a case may have put it there) may stay until it is replaced, whole. A file is hashed
when it has changed since the last look, so that looking costs nothing while nothing happens. Exclusions: what is there
for less than a look's interval is not seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

INTERVAL_S = 0.004
ABSENT = "absent"


class Watch:
    """Looks at `paths` (each with the SHA-256s that its file may have) from `with` to its end.

    `problems` says what was wrong, once a path.
    """

    def __init__(self, paths: Mapping[Path, Collection[str]]) -> None:
        self._right = {path: {ABSENT, *right} for path, right in paths.items()}
        self._seen: dict[Path, tuple[int, ...] | None] = {}
        self._problems: dict[Path, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
        for path, right in self._right.items():
            right.add(state(path))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    @property
    def problems(self) -> list[str]:
        """What was there and must not have been."""
        return list(self._problems.values())

    def _look_on(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        for path, right in self._right.items():
            mark = _mark(path)
            if path in self._problems or (path in self._seen and self._seen[path] == mark):
                continue
            found = state(path)
            if found not in right and _mark(path) != mark:
                found = state(path)  # replaced while it was read: what is there now counts
            if found not in right:
                size = mark[1] if mark else 0
                self._problems[path] = (
                    f"{path.name} held other bytes under its final name ({size} of them, {found[:16]})"
                )
            self._seen[path] = mark


def state(path: Path) -> str:
    """What stands there: the SHA-256 of a file, "absent", or what it is instead, never opening what may block."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"link to {path.readlink()}"
        if not stat.S_ISREG(mode):
            return "folder" if stat.S_ISDIR(mode) else "special file"
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return ABSENT


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
