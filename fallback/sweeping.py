"""What is left over in a models folder and of no use to anybody any more: partials, ledgers, files set aside.

Exclusions: which files are wanted, and whose they are, is `cache`'s to say; no file of a model is deleted.
"""

from __future__ import annotations

import contextlib
import glob
import stat
import time
from typing import TYPE_CHECKING

from fallback import adoption
from fallback.names import BAK, PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fallback.adoption import Found


def sweep(
    ours: Iterable[Path],
    missing: set[tuple[Path, str]],
    vouched: set[Path],
    *,
    partial_idle_s: float,
    bak_s: float,
) -> None:
    """Delete those of `ours` that nobody writes to or wants, idle for so long, and those set aside so long ago.

    `missing`: targets whose partials are still wanted, each with the beginning of its SHA-256;
    `vouched`: files that stand in their places. What cannot be deleted stays.
    """
    for path in ours:
        left = adoption.found(path)
        if left is None:
            _sweep_bak(path, vouched, bak_s)
        elif (path.with_name(left.file), left.sha8) not in missing and _is_idle(left, partial_idle_s):
            left.delete()


def _is_idle(left: Found, seconds: float) -> bool:
    """Whether nobody writes to it any more. A ledger is as old as its last response: it goes with its partial."""
    if left.idle_s <= seconds:
        return False
    if left.path.suffix == PARTIAL:
        return left.life != "alive"
    return not any(left.path.parent.glob(f"{glob.escape(left.path.stem)}*{PARTIAL}"))


def _sweep_bak(path: Path, vouched: set[Path], bak_s: float) -> None:
    """Delete it if it stands beside a file we vouch for: anybody may keep a `.bak` of his own."""
    name = path.name.removesuffix(BAK)
    if any(path.with_name(each) in vouched for each in (name, name.rpartition(".")[0]) if each):
        with contextlib.suppress(OSError):
            about = path.lstat()
            # rename keeps mtime, and moves ctime: the time a file was set aside.
            if stat.S_ISREG(about.st_mode) and time.time() - about.st_ctime > bak_s:
                path.unlink()
