"""Where files belong below a folder, and that it is there and not elsewhere.

Exclusions: no file is opened or named here (`cache`), and no name is judged (`names`).
"""

from __future__ import annotations

import functools
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fallback.errors import StorageError, storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.wanted import Wanted


NO_FILE = "this is not a file; move it away, or let `fallback verify --repair` do so"


class Places:
    """The places of files below `root`.

    `alone`: the folder is none of models (`fallback get`): its files are known by their whole paths,
    for another folder may have files of the same names.
    """

    def __init__(self, root: Path, *, alone: bool = False) -> None:
        self._root, self._alone = root, alone

    def target(self, wanted: Wanted) -> Path:
        """Where the file belongs."""
        return Path(self.place(wanted))

    def place(self, wanted: Wanted) -> str:
        """The same as a string: a `Path` takes longer to make than the system to look at the file."""
        return f"{self._root}/{wanted.model.target(wanted.file)}"

    def key(self, wanted: Wanted) -> str:
        """Its name in the `verified` table: relative to the models folder."""
        return self.target(wanted).as_posix() if self._alone else wanted.model.target(wanted.file)

    def free(self, wanted: Wanted) -> None:
        """Refuse a place that no file can have: its folder leads out of the models folder, or a folder stands there.

        Raises:
            StorageError: it is so, or cannot be looked at.
        """
        target = self.target(wanted)
        self.inside(target)
        with storage(target):
            if target.is_dir() and not target.is_symlink():
                raise StorageError(target, NO_FILE)

    def inside(self, target: Path) -> None:
        """Refuse a folder whose symbolic links lead elsewhere: nothing there is ours to read or rename (P8)."""
        with storage(target.parent):
            # Path.resolve raises RuntimeError where links lead in a ring; this leaves it to whoever opens them.
            if not self._has_no_links(str(target.parent)) and not Path(
                os.path.realpath(target.parent)
            ).is_relative_to(self._real_root):
                raise StorageError(target.parent, "a symbolic link leads out of the models folder")

    def _has_no_links(self, folder: str) -> bool:
        """Nothing is a link between the root and it: then it is inside wherever the root itself is, and is so for most."""
        root = str(self._root)
        if folder != root and not folder.startswith(f"{root}/"):
            return False
        steps = itertools.accumulate(folder[len(root) :].split("/")[1:], "{}/{}".format, initial=root)
        return not any(os.path.islink(step) for step in itertools.islice(steps, 1, None))  # noqa: PTH114 - as `place`

    @functools.cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self._root)


def walked(
    root: Path, failed: Callable[[OSError], object] = lambda _error: None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk` from the top, without the recursion that it has before Python 3.12: (folder, folders, other names).

    Folders that are taken out of the second are not walked, nor are links to some. `failed` is told what cannot be read.
    """
    due = [str(root)]
    while due:
        here = due.pop()
        folders: dict[str, bool] = {}  # and whether it is a link
        others: list[str] = []
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        folders[entry.name] = entry.is_symlink()
                    else:
                        others.append(entry.name)
        except OSError as error:
            failed(error)
            continue
        into = list(folders)
        yield here, into, others
        due += (f"{here}/{name}" for name in into if not folders[name])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Also a link to one; what leads nowhere is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
