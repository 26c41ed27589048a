"""On which addresses processes listen, as Linux tells it in /proc."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTEN = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000")
"""127.0.0.1 and ::1, as the kernel writes them: words of the machine's own order."""


def open_to_the_network(processes: Iterable[int]) -> list[str]:
    """Addresses and ports (in hex) other than loopback's on which these processes accept TCP connections."""
    sockets = {inode for pid in processes for inode in _sockets_of(pid)}
    return sorted(address for address, inode in _listening() if inode in sockets)


def _listening() -> Iterator[tuple[str, str]]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                address, state, inode = fields[1], fields[3], fields[9]
                if state == _LISTEN and address.partition(":")[0] not in _LOOPBACK:
                    yield address, inode


def _sockets_of(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    yield target.removeprefix("socket:[").removesuffix("]")
