"""The real command line as a subprocess: what it was asked, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

JOBS = 4
GATEWAY_ATTEMPTS = 2
LIMIT_S = 90.0
"""No act takes a third of this; a run that hangs is ended here and says so."""

# Short, so that a dead server costs seconds; everything else is as users have it.
SHORT = {
    "FALLBACK_TIMEOUT_S": "6",
    "FALLBACK_CONNECT_TIMEOUT_S": "2",
    "FALLBACK_BACKOFF_S": "0.2",
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


def sync(manifest: Path, models_dir: Path, gateways: Sequence[str], hub: str) -> Run:
    """`fallback sync` of a manifest into a folder, from these sources."""
    command = [sys.executable, "-m", "fallback", "sync", "--json", "--jobs", str(JOBS)]
    command += ["--manifest", str(manifest), "--models-dir", str(models_dir), "--hf-endpoint", hub]
    for gateway in gateways:
        command += ["--gateway", gateway]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            env=clean_environment() | SHORT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        code, stdout, stderr = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, stdout, stderr = None, _text(late.stdout), _text(late.stderr)
    events, stray = _lines(stdout)
    return Run(code, time.monotonic() - started, events, stray, stderr)


def clean_environment() -> dict[str, str]:
    """Ours without what would change the engine's mind: its settings, HuggingFace's, and proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FALLBACK_", "HF_")) and not name.lower().endswith("_proxy")
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


def _text(output: str | bytes | None) -> str:
    # TimeoutExpired carries bytes even where text was asked for (cpython #87597).
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
