"""A lock between processes, which saves work and never correctness: who cannot have it goes on without (P10).

flock(2) on a file of its own, which stays: whoever deletes one while others wait for it would give them two
locks. Exclusions: what a lock is for, and what is lost without it, is whoever holds it to say.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOK_S = 0.05
"""How often one that somebody else holds is tried again; flock(2) cannot wait for a time and no longer."""


@contextlib.contextmanager
def held(
    path: Path,
    *,
    timeout_s: float,
    waits: Callable[[], None] = lambda: None,
    over: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """Hold the lock at `path`; False if it is not to be had within `timeout_s`, or before `over`, or at all.

    `waits` is called once if another process holds it.
    """
    with contextlib.ExitStack() as opened:
        is_held = False
        with contextlib.suppress(OSError):
            descriptor = _opened(path)
            opened.callback(_let_go, descriptor)
            is_held = _taken(descriptor)
            if not is_held:
                waits()
                is_held = _waited_for(descriptor, timeout_s, over)
        yield is_held


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)


def _let_go(descriptor: int) -> None:
    """Unlock, and close: closing alone leaves it to a child that was forked meanwhile, and has the descriptor too."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _waited_for(descriptor: int, seconds: float, over: Callable[[], bool]) -> bool:
    ends_at = time.monotonic() + seconds
    while not over() and (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(LOOK_S, left))
        if _taken(descriptor):
            return True
    return False


def _taken(descriptor: int) -> bool:
    """Whether it is ours now.

    Raises:
        OSError: it cannot be locked at all.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
