"""Files that are whole at every instant and stay after a power loss: small ones replaced, renames made to last.

Exclusions: no file of a model (its bytes are proven on the way: `partial`, `cache`), and no lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """The new text under the old name; whoever reads it sees the old one or the new one (P1, P2).

    Raises:
        OSError: it could not be; the old one stands, and no other file is left.
    """
    # Not by tempfile: that makes files only the owner may read, and other tools read these.
    new = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with new.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make it, and those above it, so that they outlive a power loss as what is put into them does (P2).

    Raises:
        OSError: it cannot be made.
    """
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(new):
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power loss (P2); a file system that cannot is left at that.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
