"""What a client holds at this moment: bytes in memory (Linux's /proc), and bytes on disk.

Exclusions: what is there only between two looks is not seen; for memory the kernel remembers the most there was.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BLOCK = 512
"""stat(2): in these st_blocks counts, whatever the file system's own are."""


def in_memory(processes: Iterable[int]) -> int:
    """The most bytes that each of these processes ever had in memory, in all."""
    return sum(_most_of(pid) for pid in processes)


def on_disk(folder: Path) -> int:
    """Bytes that the files below this folder take now."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            size += path.lstat().st_blocks * _BLOCK
    return size


def _most_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
