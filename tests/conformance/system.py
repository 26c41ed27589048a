"""A system of its own for one case: names that do not resolve, disks that are small or read-only, a public address (Linux, as root).

All of it is in namespaces that only this thread, and what it starts meanwhile, is in: nothing changes for others,
and nothing is left behind when this process dies. Exclusions: where namespaces cannot be had, the case is not measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .stage import Stage

_NEWNS, _NEWNET = 0x00020000, 0x40000000  # unshare(2), setns(2)
_RDONLY, _BIND, _REC, _PRIVATE = 0x1, 0x1000, 0x4000, 0x40000  # mount(2)
_SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP = 0x8914, 0x8916, 0x1  # netdevice(7)


class UnavailableError(Exception):
    """This machine cannot play the case; the message says why."""


PUBLIC = "192.88.99.7"
"""An address that counts as public and that nobody has (RFC 7526 gave its network back); within a network of our own."""


@contextlib.contextmanager
def _own(kind: str, flag: int) -> Iterator[None]:
    """A namespace of that kind for this thread, and what it starts, within the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = Path.cwd()
    before = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY)
    try:
        if libc.unshare(flag) != 0:
            raise UnavailableError(f"a namespace ({kind}): {os.strerror(ctypes.get_errno())} (needs root)")
        try:
            yield
        finally:
            _back(before, flag)
            os.chdir(here)
    finally:
        os.close(before)


def _back(before: int, flag: int) -> None:
    """Into the namespace of before. A thread that has ended may share its folder with us for a moment longer."""
    libc = ctypes.CDLL(None, use_errno=True)
    ends_at = time.monotonic() + 2
    while libc.setns(before, flag) != 0:
        if time.monotonic() > ends_at:
            raise OSError(ctypes.get_errno(), "the namespace of before is not to be had back")
        time.sleep(0.01)


@contextlib.contextmanager
def own_mounts() -> Iterator[None]:
    """Mounts made within the block are seen by this thread and what it starts, and are gone after it."""
    with _own("mnt", _NEWNS):
        _mount(None, Path("/"), None, _REC | _PRIVATE)
        yield


@contextlib.contextmanager
def public_address(_: Stage) -> Iterator[None]:
    """A network of loopback alone, which has a public address beside its own: nothing leaves this machine."""
    with _own("net", _NEWNET), socket.socket() as control:
        for interface, address in (("lo", "127.0.0.1"), ("lo:1", PUBLIC)):
            name = interface.encode()
            ours = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, _SIOCSIFADDR, ours)
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", name, _IFF_UP))
        yield


def _mount(
    source: Path | None, target: Path, kind: str | None, flags: int = 0, data: str | None = None
) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    texts = (os.fsencode(source or kind or "none"), os.fsencode(target), kind and kind.encode())
    if libc.mount(*texts, flags, data and data.encode()) != 0:
        raise UnavailableError(f"mount on {target}: {os.strerror(ctypes.get_errno())} (needs root)")


@contextlib.contextmanager
def _file_as(stage: Stage, path: str, text: str) -> Iterator[None]:
    """This text in place of a file of the system's."""
    ours = stage.sandbox / Path(path).name
    ours.write_text(text)
    with own_mounts():
        _mount(ours, Path(path).resolve(), None, _BIND)
        yield


def no_names(stage: Stage) -> AbstractContextManager[None]:
    """Every name server refuses; what /etc/hosts has is there."""
    return _file_as(stage, "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


@contextlib.contextmanager
def silent_names(stage: Stage) -> Iterator[None]:
    """The name server never answers."""
    address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind((address, 53))
        except OSError as error:
            raise UnavailableError(f"port 53: {error.strerror} (needs root)") from error
        with _file_as(stage, "/etc/resolv.conf", f"nameserver {address}\n"):
            yield


def two_addresses(stage: Stage) -> AbstractContextManager[None]:
    """The host both.test has ::1, where nobody listens, and 127.0.0.1."""
    return _file_as(stage, "/etc/hosts", "::1 both.test\n127.0.0.1 both.test localhost\n")


@contextlib.contextmanager
def small_disk(stage: Stage) -> Iterator[None]:
    """The job's folder is a file system of `disk_bytes`, which the case gives."""
    with own_mounts():
        _mount(None, stage.folder, "tmpfs", 0, f"size={stage.case.given['disk_bytes']}")
        yield


@contextlib.contextmanager
def other_disk(stage: Stage) -> Iterator[None]:
    """The job's folder is a file system of its own: neither the state's nor that of temporary files."""
    with own_mounts():
        _mount(None, stage.folder, "tmpfs")
        yield


@contextlib.contextmanager
def read_only(stage: Stage) -> Iterator[None]:
    """The job's folder cannot be written, whoever tries."""
    with own_mounts():
        _mount(None, stage.folder, "tmpfs", _RDONLY)
        yield


@contextlib.contextmanager
def state_read_only(stage: Stage) -> Iterator[None]:
    """The client's own folder cannot be written, whoever tries."""
    with own_mounts():
        _mount(None, stage.state, "tmpfs", _RDONLY)
        yield


SYSTEMS: dict[str, Callable[[Stage], AbstractContextManager[object]]] = {
    "no-names": no_names,
    "silent-names": silent_names,
    "two-addresses": two_addresses,
    "small-disk": small_disk,
    "other-disk": other_disk,
    "read-only": read_only,
    "state-read-only": state_read_only,
    "public-address": public_address,
}
