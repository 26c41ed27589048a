"""Partials that other runs left: how they are found, and how one run, and only one, takes one over.

A partial is adopted by renaming it to a name of one's own, which one process alone can do. One
that was let go, or whose owner is known to be dead, is taken as it is. Where death cannot be known
(another machine or container), an idle one is copied, so that no two processes ever share an
inode, lock or not. The bytes are hashed before they count (P6). Exclusions: nothing is deleted for
its age here (`sweeping`), and no lock is needed (P10).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback import owner
from fallback.ledger import Ledger
from fallback.names import LEDGER, PARTIAL
from fallback.partial import Partial, own_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from fallback.manifest import File

_NAME = re.compile(
    rf"\.(?P<file>.+)\.(?P<sha8>[0-9a-f]{{8}})-(?P<id>[0-9a-f]{{4}})(\.(?P<owner>{owner.NAME}))?"
    rf"({re.escape(PARTIAL)}|{re.escape(LEDGER)})",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A partial (or a ledger) of any process, by what its name says: of which file, and who writes it."""

    path: Path
    file: str
    sha8: str
    id: str
    writer: str | None

    @property
    def ledger(self) -> Path:
        """Where its ledger is."""
        return self.path.with_name(f".{self.file}.{self.sha8}-{self.id}{LEDGER}")

    @property
    def life(self) -> owner.Life:
        """Whether somebody writes to it: an owner that let go counts as dead."""
        return owner.life(self.writer) if self.writer else "dead"

    @property
    def idle_s(self) -> float:
        """Seconds since it was written to; 0 if that cannot be seen."""
        try:
            return time.time() - self.path.lstat().st_mtime
        except OSError:
            return 0.0

    def delete(self) -> None:
        """Delete it and its ledger, as far as they can be."""
        for path in (self.path, self.ledger):
            with contextlib.suppress(OSError):
                path.unlink()


def found(path: Path) -> Found | None:
    """What `path` says it is; None if it is neither a partial nor a ledger of ours."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else Found(path, match["file"], match["sha8"], match["id"], match["owner"])


def left_of(target: Path, file: File) -> Iterator[Found]:
    """Partials of `file` beside `target`, largest first: plain files that have no other name."""
    if file.sha256 is None:
        return  # nothing could prove what another run left
    sized: list[tuple[int, Found]] = []
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            each = found(target.with_name(entry.name)) if entry.name.endswith(PARTIAL) else None
            if each is not None and (each.file, each.sha8) == (target.name, file.sha256[:8]):
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 1:
                    sized.append((about.st_size, each))
    yield from (each for _, each in sorted(sized, key=lambda pair: -pair[0]))


def adopt(
    others: Iterable[Found], target: Path, file: File, *, quiet_s: float, over: Callable[[], bool]
) -> Partial | None:
    """The first of `others` (`left_of`), the largest, that is to be had, hashed; None if none is.

    `quiet_s`: how long one must be idle whose owner nobody can ask. `over`: the run is to end;
    hashing stops, and what was claimed is let go again.

    Raises:
        StorageError: it is ours now, and the disk failed to read or copy it.
    """
    for each in others:
        if each.life == "alive" or (each.life == "unknown" and each.idle_s <= quiet_s):
            continue
        partial = _claimed(each, target, file)
        if partial is not None and each.life == "unknown":
            partial = partial.copied()
        if partial is not None:
            if partial.rehash(over):
                partial.inherited = partial.size
                return partial
            partial.close()
    return None


def _claimed(each: Found, target: Path, file: File) -> Partial | None:
    """Make it ours by its name; None if another process was faster, or it is not for us to open."""
    path, ledger = own_names(target, file, each.id)
    try:
        descriptor = os.open(each.path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        each.path.rename(path)
        same = os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        same = False
    if not same:
        os.close(descriptor)
        return None
    return Partial(target, file, path, Ledger.read(ledger), descriptor)
