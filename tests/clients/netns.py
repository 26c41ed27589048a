"""A network of loopback alone, for the thread that asks and all it starts from then on (Linux, as root)."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000  # unshare(2)
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1  # netdevice(7)


@contextlib.contextmanager
def loopback_alone() -> Iterator[bool]:
    """Within the block nothing leaves this machine; False where that cannot be had, and nothing is changed."""
    try:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    except OSError:
        yield False
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        alone = libc.unshare(_CLONE_NEWNET) == 0
        if alone:
            _up("lo")
        try:
            yield alone
        finally:
            if alone and libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the network of before is not to be had back")
    finally:
        os.close(before)


def _up(interface: str) -> None:
    with socket.socket() as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh", interface.encode(), _IFF_UP))
