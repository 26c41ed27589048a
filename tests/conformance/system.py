"""A system of its own for one case: names that do not resolve, disks that are small or read-only (Linux, as root).

All of it is mounts in a namespace that only this thread, and what it starts meanwhile, is in: nothing changes for others,
and nothing is left behind when this process dies. Exclusions: where namespaces cannot be had, the case is not measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .stage import Stage

_NEWNS = 0x00020000  # unshare(2), setns(2)
_RDONLY, _BIND, _REC, _PRIVATE = 0x1, 0x1000, 0x4000, 0x40000  # mount(2)


class UnavailableError(Exception):
    """This machine cannot play the case; the message says why."""


@contextlib.contextmanager
def own_mounts() -> Iterator[None]:
    """Mounts made within the block are seen by this thread and what it starts, and are gone after it."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = Path.cwd()
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        if libc.unshare(_NEWNS) != 0:
            raise UnavailableError(f"a mount namespace: {os.strerror(ctypes.get_errno())} (needs root)")
        try:
            _mount(None, Path("/"), None, _REC | _PRIVATE)
            yield
        finally:
            if libc.setns(before, _NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "the mounts of before are not to be had back")
            os.chdir(here)
    finally:
        os.close(before)


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


SYSTEMS: dict[str, Callable[[Stage], AbstractContextManager[object]]] = {
    "no-names": no_names,
    "silent-names": silent_names,
    "two-addresses": two_addresses,
    "small-disk": small_disk,
    "other-disk": other_disk,
    "read-only": read_only,
}
