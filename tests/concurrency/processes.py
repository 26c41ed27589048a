"""`fallback` as processes of their own, whose flock works, fails or lies; and an eye on the files all the while.

The command line runs as it is installed; for a lock that fails or lies `fcntl.flock` is replaced before it is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fakes.world import World

Locks = Literal["work", "fail", "lie"]

_MAIN = "import fcntl, errno\n{patch}\nfrom fallback.cli import main\nmain()\n"
_PATCHES: Mapping[Locks, str] = {
    "work": "",
    "fail": "def flock(*_):\n    raise OSError(errno.ENOLCK, 'no locks here')\nfcntl.flock = flock",
    "lie": "fcntl.flock = lambda *_: None",
}

DONE_S = 120.0
"""Every process ends by then, also on a busy machine."""


def environment(world: World, models_dir: Path, **settings: str) -> dict[str, str]:
    """Everything a process is told; it has no other source than the world."""
    # Nobody is silent here: on a busy machine, too, no body is asked for twice because its first byte took long.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    told = {
        "MODELS_DIR": str(models_dir),
        "TIMEOUT_S": "20",
        "PATIENCE_S": "20",
        "BACKOFF_S": "0.05",
        "MAX_WAIT_S": "1",
        "RESERVE_BYTES": "0",
        "LOCK_TIMEOUT_S": "10",
        **settings,
    }
    return kept | world.environment() | {f"FALLBACK_{name}": value for name, value in told.items()}


class Process:
    """One `fallback COMMAND…`; what it says is kept for the message of a failed test."""

    def __init__(self, command: list[str], told: dict[str, str], locks: Locks) -> None:
        self.command, self.is_stopped, self.said = command, False, ""
        code = _MAIN.format(patch=_PATCHES[locks])
        self._child = subprocess.Popen(
            [sys.executable, "-c", code, *command],
            env=told,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._child.poll() is not None

    def stop(self) -> None:
        """SIGSTOP, in the middle of whatever it does."""
        self.is_stopped = True
        self._child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.is_stopped = False
        self._child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; it is gone when this returns."""
        self._child.kill()
        self._child.communicate()

    def ended(self) -> int:
        """Its exit code, once it has ended; it neither hung nor fell over."""
        try:
            _, self.said = self._child.communicate(timeout=DONE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command} hung") from None
        assert "Traceback" not in self.said, self.said
        return self._child.returncode


class Watched:
    """Looks at final names all the while: each is absent, or holds bytes that it may hold (P1)."""

    def __init__(self, allowed: Mapping[Path, set[str]], every_s: float = 0.002) -> None:
        self.allowed, self._every_s = dict(allowed), every_s
        self.looks = 0
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self.look()

    def look(self) -> None:
        """Once at each."""
        for path, before in self.allowed.items():
            with contextlib.suppress(FileNotFoundError):
                seen = hashlib.sha256(path.read_bytes()).hexdigest()
                self.looks += 1
                # What a test itself puts there is allowed before it is there, and maybe since this look began.
                if seen not in before | self.allowed[path]:
                    self.wrong.append(f"{path.name}: {seen}")

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """While this block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()
            self.look()


def bodies(world: World) -> dict[str, int]:
    """How many times each path's bytes were sent, whole or in part."""
    sent = [entry.path for entry in world.journal.entries() if entry.method == "GET" and entry.bytes_sent]
    return {path: sent.count(path) for path in sent}
