"""Which process writes a partial, as part of its name; and whether that process still lives.

An owner is `{place}-{pid}-{start}` in hex: place stands for this boot of this machine and its PID
namespace, start for the moment the process began (a PID is used again). Only of an owner in our own
place can be said that it is dead; a container or a machine that shares the folder is `unknown`.
Exclusions: no lock is taken here, and nothing depends on one working (P10).
"""

from __future__ import annotations

import functools
import os
import re
import zlib
from pathlib import Path
from typing import Literal

NAME = r"[0-9a-f]{6}-[0-9a-f]{1,8}-[0-9a-f]{1,12}"
"""What an owner looks like, for whoever finds one in a file's name."""

_PROC = Path("/proc")
_START_FIELD = 22 - 3
"""`starttime` of proc_pid_stat(5), counted from behind the command's closing parenthesis."""

Life = Literal["alive", "dead", "unknown"]


def ourselves() -> str:
    """This process as an owner."""
    return _living(os.getpid())


def life(owner: str) -> Life:
    """Whether the process that calls itself so still lives."""
    if not re.fullmatch(NAME, owner):
        return "unknown"
    place, pid, started = owner.split("-")
    if place != _place() or int(started, 16) == 0:
        return "unknown"
    try:
        os.kill(int(pid, 16), 0)
    except ProcessLookupError:
        return "dead"
    except (PermissionError, OverflowError):
        pass  # somebody else's process is alive; a number that is no PID says nothing
    now = _started(int(pid, 16))
    return "alive" if now is None or now == int(started, 16) else "dead"


@functools.lru_cache(maxsize=1)
def _living(pid: int) -> str:
    return f"{_place()}-{pid:x}-{_started(pid) or 0:x}"


@functools.cache
def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = str((_PROC / "self/ns/pid").readlink())
    except OSError:  # no Linux: then nobody is ever known to be dead
        return "000000"
    return f"{zlib.crc32(f'{boot} {space}'.encode()) & 0xFFFFFF:06x}"


def _started(pid: int) -> int | None:
    """Clock ticks between the boot and the start of process `pid`; None: not to be had, -1: a zombie."""
    try:
        after_name = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if after_name[0] in "ZX" else int(after_name[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return None
