"""One run of the client under test: a process in a group of its own, its output in files, and its end.

Signals go to the whole group, as a terminal's Ctrl-C does, so that a wrapper needs no code for them. Exclusions: what the
client prints is kept for people (`--dump`) and never judged.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRACE_S = 2.0
"""For a program to start and to end, on a busy machine, beside its deadline."""

HOLD_S = 6.0
"""How much later a client is killed: by how much it missed its deadline is worth knowing."""

_BUSY = 8
"""A client is granted so many times what it takes, right now, to start an interpreter: machines are shared."""

_POLL_S = 0.005
_OURS = ("FALLBACK_", "HF_", "PINATA_", "PYTEST_", "COV_", "COVERAGE_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Process:
    """A client under way. Leaving the block ends whatever is left of it."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, env: Mapping[str, str], limit_s: float
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder
        self._limit_s = limit_s
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self._began = time.monotonic()
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.killed = False
        self.seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self._popen.wait()

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return self._popen.poll() is not None

    def signal(self, number: int) -> None:
        """To the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it; killed when it is `limit_s` old."""
        try:
            code = self._popen.wait(max(0.0, self._began + self._limit_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.killed = True
            self.signal(signal.SIGKILL)
            code = self._popen.wait()
        self.seconds = time.monotonic() - self._began
        return code

    def survivors(self) -> bool:
        """Whether processes of its group are there still, a moment after its end."""
        ends_at = time.monotonic() + 0.5
        while self.group():
            if time.monotonic() > ends_at:
                return True
            time.sleep(_POLL_S)
        return False

    def group(self) -> list[int]:
        """Its processes, by their ids; one that has ended and that nobody has asked for is none."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self._popen.pid and state not in {"Z", "X"}:
                    found.append(int(path.name))
        return found

    def said(self) -> dict[str, str]:
        """The ends of its output, for people."""
        return {name: _end_of(self.output / name) for name in ("stdout", "stderr")}


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would tell a client things beside its job, and with these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name.lower() not in _PROXIES
    }
    return {**kept, **more}


def _end_of(path: Path, limit: int = 4000) -> str:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - limit))
        return stream.read().decode(errors="replace")


def grace_s() -> float:
    """Seconds beside a deadline, as this machine is at this moment."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-S", "-c", "import json"], check=True, stdin=subprocess.DEVNULL)
    return GRACE_S + _BUSY * (time.monotonic() - began)


def limit_of(job: Mapping[str, Any]) -> float:
    """Seconds after which a client is killed that should have ended long ago."""
    return float(job["deadline_s"]) + GRACE_S + HOLD_S
