"""Medians, ratios and the machine they are of; a table for people, JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.clients import Measured

OURS = "fallback"

Measurements = dict[str, dict[str, "list[Measured]"]]
"""By scenario, then by client: one for each repeat."""


def summary(measured: Measurements, total_bytes: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Medians by scenario and client; `ours_over_theirs` below 1 means that the engine took less time."""
    return {
        scenario: {client: _row(runs, clients[OURS], total_bytes) for client, runs in clients.items()}
        for scenario, clients in measured.items()
    }


def _row(runs: Sequence[Measured], ours: Sequence[Measured], total_bytes: int) -> dict[str, Any]:
    seconds = statistics.median(run.seconds for run in runs)
    return {
        "seconds": round(seconds, 4),
        "seconds_each": [round(run.seconds, 4) for run in runs],
        "ours_over_theirs": round(statistics.median(run.seconds for run in ours) / seconds, 3),
        "mb_per_s": round(total_bytes / 1e6 / seconds, 1),
        "cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 4),
        "peak_rss_mb": round(max(run.peak_rss_bytes for run in runs) / 1e6, 1),
    }


def table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Fixed columns, one line for each client of each scenario."""
    names = f"{'scenario':<10} {'client':<14} {'seconds':>8} {'min':>7} {'max':>7} {'MB/s':>7} {'cpu s':>7} "
    lines = [f"{names}{'peak MB':>8} {'ours/theirs':>12}"]
    for scenario, clients in rows.items():
        for client, row in clients.items():
            each = row["seconds_each"]
            ratio = "-" if client == OURS else f"{row['ours_over_theirs']:.2f}"
            # A warm run moves no bytes: there a rate would be a fiction.
            rate = "-" if scenario == "warm" else f"{row['mb_per_s']:.0f}"
            lines.append(
                f"{scenario:<10} {client:<14} {row['seconds']:>8.3f} {min(each):>7.3f} {max(each):>7.3f} {rate:>7} "
                f"{row['cpu_seconds']:>7.2f} {row['peak_rss_mb']:>8.1f} {ratio:>12}"
            )
    return "\n".join(lines)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """As JSON; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def machine(folder: Path) -> dict[str, Any]:
    """What the figures are of: processor, memory, versions, and the file system of the models folder."""
    return {
        "system": platform.platform(),
        "cpu": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "python": platform.python_version(),
        "curl": _curl(),
        "folder": str(folder),
        "file_system": _file_system(folder),
    }


def _first(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _curl() -> str | None:
    if shutil.which("curl") is None:
        return None
    told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()[0]


def _file_system(folder: Path) -> str | None:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:  # not Linux
        return None
    held = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(held, key=lambda mount: len(mount[1]))[2] if held else None
