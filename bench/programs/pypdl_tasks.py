"""pypdl at its best: several files at once, five segments a file, the other sources as mirrors.

Its own hashing reads 4 KiB at a time, each in another thread: openssl proves its files faster.


A program of its own, run as `pypdl_tasks.py FILES.json`; FILES.json is {path: {"urls": [url, …]}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pypdl import Pypdl

JOBS = 4


def main() -> int:
    """Have every file; returns the exit code."""
    files = json.loads(Path(sys.argv[1]).read_text())
    tasks = []
    for path, file in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not Path(path).exists():
            tasks.append({"url": file["urls"][0], "mirrors": file["urls"][1:], "file_path": path})
    if not tasks:
        return 0
    done = Pypdl(max_concurrent=JOBS).start(tasks=tasks, display=False, retries=2, block=True)
    return 0 if sum(1 for _url, result in done if result) == len(tasks) else 1


if __name__ == "__main__":
    sys.exit(main())
