"""The machine that figures are of: processor, memory, versions, and the file system of the models folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any


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
