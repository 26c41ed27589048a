"""Statements that may wait a moment, so that what ends at about the same time is written in one transaction.

A transaction a statement would be ten a file: with ten thousand small files, more work than the files. What
waits is in memory alone: who is killed within `GROUP_S` loses it, and so nothing may wait that has to be on
disk before something else happens. Exclusions: what a statement means, and what becomes of one that fails,
is `db`'s.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Statement = tuple[str, "Sequence[Any]"]
"""SQL and its parameters."""

GROUP_S = 0.2
"""How long one waits for others."""

MOST = 4000
"""As many at a time; whoever adds one more writes them himself, and so waits for a disk that is slower than he is."""


class Later:
    """Statements in the order they came; `write` takes them (`taken`) and runs them, in a thread of its own."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write
        self._waiting: deque[Statement] = deque()
        self._some, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, statement: Statement) -> None:
        """Let it wait."""
        self._waiting.append(statement)
        if not self._some.is_set():
            self._some.set()
            self._start()
        if len(self._waiting) > MOST:
            self._write()

    def taken(self) -> list[Statement]:
        """All that wait, which wait no more."""
        self._some.clear()
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def put_back(self, statements: Sequence[Statement]) -> bool:
        """Let what was taken wait again, before what came meanwhile; False if that is too much, or all is over.

        Too much is lost as a whole: who adds to `MOST` is not to try in vain with each that he adds.
        """
        if self._over.is_set() or len(statements) + len(self._waiting) > MOST:
            return False
        self._waiting.extendleft(reversed(statements))
        self._some.set()
        self._start()
        return True

    def close(self) -> None:
        """Write what waits, and no more by itself."""
        self._over.set()
        self._write()
        self._some.set()  # after it was cleared by what was just written: the thread may come to wait only now
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fallback-state", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set() and self._some.wait() and not self._over.wait(GROUP_S):
            self._write()
