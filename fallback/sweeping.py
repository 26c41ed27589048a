"""What is left over in a models folder and of no use to anybody any more: partials, ledgers, files set aside.

The one place that knows when such a file may go: `engine` deletes what is told here after each sync, and
`cleaning` when somebody asks. Exclusions: which files are wanted, and whose they are, is `cache`'s to say; no
file of a model is deleted.
"""

from __future__ import annotations

import glob
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fallback import adoption
from fallback.names import BAK, PARTIAL

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fallback.adoption import Found

Kind = Literal["partial", "bak", "version", "unnamed"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that may go: `size` in bytes, `touched_at` in seconds since the epoch.

    A `version` is a folder; of anything else `mark` is what it was when it was looked at.
    """

    path: Path
    kind: Kind
    size: int
    touched_at: float
    mark: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path, kind: Kind, about: os.stat_result, touched_at: float) -> Leftover:
        """A file, as it was when it was looked at."""
        return cls(path, kind, about.st_size, touched_at, _mark(about))

    def delete(self) -> bool:
        """Delete the file, a partial with its ledger; False if it is gone, or another since it was looked at.

        Raises:
            OSError: it cannot be deleted.
        """
        try:
            if _mark(self.path.lstat()) != self.mark:
                return False
            self.path.unlink()
        except FileNotFoundError:
            return False
        if (left := adoption.found(self.path)) is not None:
            left.ledger.unlink(missing_ok=True)
        return True


def left_over(
    ours: Iterable[Path],
    missing: set[tuple[Path, str]],
    vouched: set[Path],
    partials_before: float,
    baks_before: float,
) -> Iterator[Leftover]:
    """Those of `ours` that nobody writes to or wants, or that were set aside, before a moment (since the epoch).

    `missing`: targets whose partials are still wanted, each with the beginning of its SHA-256;
    `vouched`: files that stand in their places.
    """
    for path in ours:
        try:
            about = path.lstat()
        except OSError:
            continue  # somebody took it meanwhile
        left = adoption.found(path)
        if left is None:
            # rename keeps mtime, and moves ctime: the time a file was set aside.
            is_old = about.st_ctime < baks_before
            if is_old and stat.S_ISREG(about.st_mode) and _is_beside(path, vouched):
                yield Leftover.of(path, "bak", about, about.st_ctime)
            continue
        wanted = (path.with_name(left.file), left.sha8) in missing
        if about.st_mtime < partials_before and not wanted and _is_let_go(left):
            yield Leftover.of(path, "partial", about, about.st_mtime)


def _is_let_go(left: Found) -> bool:
    """Whether nobody writes to it any more. A ledger is as old as its last response: it goes with its partial."""
    if left.path.suffix == PARTIAL:
        return left.life != "alive"
    return not any(left.path.parent.glob(f"{glob.escape(left.path.stem)}*{PARTIAL}"))


def _is_beside(path: Path, vouched: set[Path]) -> bool:
    """Whether it stands beside a file we vouch for: anybody may keep a `.bak` of his own."""
    name = path.name.removesuffix(BAK)
    return any(path.with_name(each) in vouched for each in (name, name.rpartition(".")[0]) if each)


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
