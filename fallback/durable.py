"""Files that are whole at every instant and stay after a power loss: replaced whole, renames made to last.

What a writer that was killed left beside its file goes with the next one that is written there.
Exclusions: no file of a model (its bytes are proven on the way: `partial`, `cache`), and no lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from typing import TYPE_CHECKING, BinaryIO

from fallback import owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY = ".tmp"
IDLE_S = 3600.0
"""What a writer left that nobody can ask is deleted once nothing was written to it for so long."""


def write_text(path: Path, text: str) -> None:
    """The new text under the old name; whoever reads it sees the old one or the new one (P1, P2).

    Raises:
        OSError: it could not be; the old one stands, and no other file is left.
    """
    with replacing(path) as stream:
        stream.write(text.encode())


@contextlib.contextmanager
def replacing(path: Path, *, lasting: bool = True) -> Iterator[BinaryIO]:
    """A stream for the new bytes of `path`, which get that name when the block ends well, and are gone otherwise.

    Not `lasting`: no disk is waited for, and a power cut may leave the old bytes, or none. For what is soon
    written again anyway.

    Raises:
        OSError: they could not be kept; what was there stands, and no other file is left.
    """
    hidden = path.name if path.name.startswith(".") else f".{path.name}"
    # Not by tempfile: that makes files only the owner may read, and other tools read these.
    new = path.with_name(f"{hidden}.{owner.ourselves()}-{os.urandom(2).hex()}{TEMPORARY}")
    try:
        with new.open("xb") as stream:
            yield stream
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    if lasting:
        sync_folder(path.parent)
    _sweep(path.parent, hidden)


def make_folder(folder: Path) -> list[Path]:
    """Make it, and those above it, so that they outlive a power loss as what is put into them does (P2).

    Returns:
        those that were not there.

    Raises:
        OSError: it cannot be made.
    """
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(new):
        sync_folder(each.parent)
    return new


class Folders:
    """Folders below `root`, and it, whose names last before anything in them is vouched for (P2).

    Also those that are there already: who made them may have been killed before he synced them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lasting: set[Path] = set()
        self._new: set[Path] = set()

    def make(self, folder: Path) -> bool:
        """Make it, and those above it; whether it was not there when it was first asked for.

        Raises:
            OSError: it cannot be made.
        """
        if folder in self._lasting and folder.is_dir():
            return folder in self._new
        self._new.update(made := make_folder(folder))
        self._lasting.update(made)
        for each in (folder, *folder.parents):
            if each not in self._lasting and each.is_relative_to(self._root):
                sync_folder(each.parent)
                self._lasting.add(each)
        return folder in self._new


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power loss (P2); a file system that cannot is left at that.

    Raises:
        OSError: the disk failed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # one may be used by who must not list it
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(descriptor: int) -> None:
    """Make what an open file or folder holds last through a power loss; a file system that cannot is left at that.

    Raises:
        OSError: the disk failed.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EROFS}:
            raise


def _sweep(folder: Path, hidden: str) -> None:
    """Delete what writers of the same file left that are dead, or have been silent for long."""
    ours = re.compile(rf"{re.escape(hidden)}\.(?P<owner>{owner.NAME})-[0-9a-f]{{4}}{re.escape(TEMPORARY)}")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = ours.fullmatch(entry.name)
            life = owner.life(match["owner"]) if match else "alive"
            idle = life == "unknown" and time.time() - entry.stat(follow_symlinks=False).st_mtime > IDLE_S
            if life == "dead" or idle:
                (folder / entry.name).unlink(missing_ok=True)
