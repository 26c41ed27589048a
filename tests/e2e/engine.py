"""The real command line as a subprocess: what it was asked, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SYNC = ("sync",)
VERIFY = ("verify",)
REPAIR = ("verify", "--repair")
JOBS = 4
GATEWAY_ATTEMPTS = 2
LIMIT_S = 90.0
"""No act takes a third of this; a run that hangs is ended here and says so."""

# Short, so that a dead server costs seconds, and as many jobs on every machine; all else is as users have it.
SHORT = {
    "FALLBACK_TIMEOUT_S": "6",
    "FALLBACK_CONNECT_TIMEOUT_S": "2",
    "FALLBACK_BACKOFF_S": "0.2",
    "FALLBACK_JOBS": str(JOBS),
    "FALLBACK_GATEWAY_ATTEMPTS": str(GATEWAY_ATTEMPTS),
}


@dataclass(frozen=True)
class Run:
    """One run of the engine; `code` is None if it had to be ended, `events` its lines of JSON."""

    code: int | None
    seconds: float
    events: tuple[Mapping[str, Any], ...]
    stray: tuple[str, ...]
    """Lines on stdout that are no JSON object: with --json there must be none."""
    stderr: str

    @property
    def last(self) -> Mapping[str, Any]:
        """The last event."""
        return self.events[-1] if self.events else {}


class Process:
    """The command line at work, in a process of its own; `started` makes one."""

    def __init__(self, popen: subprocess.Popen[str], stdout: IO[str], stderr: IO[str]) -> None:
        self._popen, self._stdout, self._stderr = popen, stdout, stderr
        self._began = time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def kill(self) -> Run:
        """SIGKILL: it has no chance to tidy up. What it had come to."""
        self._popen.kill()
        return self.ended()

    def ended(self) -> Run:
        """Wait for its end, and end it if that does not come."""
        code: int | None
        try:
            code = self._popen.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            code = None
        seconds = time.monotonic() - self._began
        self._stdout.seek(0)
        self._stderr.seek(0)
        events, stray = _lines(self._stdout.read())
        return Run(code, seconds, events, stray, self._stderr.read())


@contextlib.contextmanager
def started(
    command: Sequence[str],
    manifest: Path,
    models_dir: Path,
    gateways: Sequence[str],
    hub: str,
    environment: Mapping[str, str],
) -> Iterator[Process]:
    """`fallback COMMAND` for a manifest and a folder, with these sources and no others; killed with the block."""
    given = [sys.executable, "-m", "fallback", *command, "--json"]
    given += ["--manifest", str(manifest), "--models-dir", str(models_dir), "--hf-endpoint", hub]
    for gateway in gateways:
        given += ["--gateway", gateway]
    # Files, not pipes: nobody reads while it runs, and a pipe that is full would stop it.
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        whole = clean_environment() | SHORT | dict(environment)
        popen = subprocess.Popen(
            given, env=whole, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, text=True
        )
        try:
            yield Process(popen, stdout, stderr)
        finally:
            popen.kill()  # does nothing to one that has ended
            popen.wait()


def clean_environment() -> dict[str, str]:
    """Ours without what would change the engine's mind: its settings, HuggingFace's, Pinata's, and proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FALLBACK_", "HF_", "PINATA_")) and not name.lower().endswith("_proxy")
    }


def _lines(stdout: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    events: list[Mapping[str, Any]] = []
    stray: list[str] = []
    for line in stdout.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        else:
            stray.append(line)
    return tuple(events), tuple(stray)
