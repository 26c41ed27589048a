"""A lock between processes, which saves work and never correctness: who cannot have it goes on without (P10).

Exclusions: what it is for, and what is lost without it, is whoever holds it to say.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock


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
    lock: BaseFileLock | None = None
    with contextlib.suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waits()
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=timeout_s, cancel_check=over)
    is_held = lock is not None and lock.is_locked
    try:
        yield is_held
    finally:
        if lock is not None and is_held:
            with contextlib.suppress(OSError):
                lock.release()
