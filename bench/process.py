"""One process of a client, from its start to its end: wall time, processor time, peak memory.

Exclusions: what it downloads, and whether it did, is `running`'s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_S = 0.005
"""How often a process that is to be killed half way is looked at."""

LIMIT_S = 300.0
"""A process that takes longer is killed with all that it started, and has not done its work: one that hangs is not to cost the others' figures."""


class NotDoneError(Exception):
    """A client did not do its work; what it said."""


@dataclass(frozen=True)
class Measured:
    """Wall and processor seconds (user and system, of the client alone), and its peak of resident memory.

    `verify_seconds` and `verify_cpu_seconds`: proving the files afterwards, for a client that does not do it
    itself; they are part of the others. `wire_bytes` of bodies and `requests` are what the server counted.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    code: int
    verify_seconds: float = 0.0
    verify_cpu_seconds: float = 0.0
    wire_bytes: int = 0
    requests: int = 0

    def then(self, other: Measured) -> Measured:
        """Both, one after the other; the code is the last one's."""
        return replace(
            self,
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            peak_rss_bytes=max(self.peak_rss_bytes, other.peak_rss_bytes),
            code=other.code,
        )

    def verified(self, proof: Measured) -> Measured:
        """With the proof of another program behind it."""
        return replace(
            self.then(proof),
            peak_rss_bytes=self.peak_rss_bytes,
            code=self.code or proof.code,
            verify_seconds=proof.seconds,
            verify_cpu_seconds=proof.cpu_seconds,
        )


def run(command: Sequence[str], log: Path, until: Callable[[], bool] | None = None) -> Measured:
    """Run one process and measure it; its output goes to `log`. Once `until` says so, it is killed.

    The kernel starts a child's peak at ours (exec keeps the high-water mark), so that what is below about
    30 MB, such as curl's, reads as that; with ten thousand files, below about 75 MB. What we held earlier is no part of it.
    """
    with contextlib.suppress(OSError):  # not Linux
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): our own high-water mark is what we hold now
    with log.open("ab") as out:
        started = time.perf_counter()
        process = _started(command, out)
        overdue = threading.Timer(LIMIT_S, _kill, (process,))
        overdue.start()
        try:
            if until is not None:
                _kill_once(until, process)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        except BaseException:  # the benchmark is ended: its folder is about to be deleted
            _kill(process)
            process.wait()
            raise
        finally:
            overdue.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it from under subprocess
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB here
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, process.returncode)


def _started(command: Sequence[str], out: IO[bytes]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that what it starts can be killed with it; NotDoneError if it cannot be started."""
    try:
        return subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NotDoneError(f"{command[0]} cannot be started: {error.strerror}") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_once(until: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if until():
            _kill(process)
            return
        time.sleep(LOOK_S)


def _environment() -> dict[str, str]:
    """No setting of the user's, and no proxy, for all is on loopback; and Python compiles a module once, as it does for users."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FALLBACK_", "HF_", "PYTHON")) and not name.lower().endswith("_proxy")
    }
