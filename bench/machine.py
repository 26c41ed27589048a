"""The machine that figures are of: processor, memory, versions, and the file system of the models folder."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PROGRAMS = {
    "curl": "--version",
    "aria2c": "--version",
    "wget": "--version",
    "nginx": "-v",
    "openssl": "version",
}
MODULES = ("huggingface_hub", "pooch", "pypdl", "requests")


def machine(folder: Path) -> dict[str, Any]:
    """What the figures are of: processor, memory, versions, and the file system of the models folder."""
    return {
        "system": platform.platform(),
        "cpu": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "python": platform.python_version(),
        "peers": _peers(),
        "folder": str(folder),
        "file_system": _file_system(folder),
    }


def _first(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _peers() -> dict[str, str]:
    """The version of each program and module that is measured or serves, if it is here; a program's in its own words."""
    told = {}
    for name, flag in PROGRAMS.items():
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if found is not None:
            said = subprocess.run([found, flag], capture_output=True, text=True, check=False, timeout=10)
            told[name] = next(iter((said.stdout + said.stderr).splitlines()), "")
    for name in MODULES:
        with contextlib.suppress(PackageNotFoundError):
            told[name] = version(name)
    return told


def _file_system(folder: Path) -> str | None:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:  # not Linux
        return None
    held = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(held, key=lambda mount: len(mount[1]))[2] if held else None
