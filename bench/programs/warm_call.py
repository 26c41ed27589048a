"""`fallback.sync()` on a folder that is complete, in a process that has called it before.

A program of its own, run as `warm_call.py TOLD MANIFEST FOLDER`; writes "wall-seconds cpu-seconds" into TOLD.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import fallback


def main() -> int:
    """Measure the second call; returns the exit code."""
    told, manifest, folder = sys.argv[1:]
    settings = fallback.Settings.load({"manifest": manifest, "models_dir": folder, "offline": True})
    fallback.sync(settings=settings)
    began, cpu = time.perf_counter(), time.process_time()
    summary = fallback.sync(settings=settings)
    Path(told).write_text(f"{time.perf_counter() - began} {time.process_time() - cpu}")
    return 0 if summary.ok else 1


if __name__ == "__main__":
    sys.exit(main())
