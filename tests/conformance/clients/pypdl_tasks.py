#!/usr/bin/env python3
"""pypdl as a client under test: all files as its tasks, four at once, the other URLs as mirrors.

pypdl knows mirrors, retries and digests, which last it computes and lets the caller compare: a file is renamed from a name
beside it (`.part`) once `validate_hash` agrees, for pypdl itself writes under the name it is given. A file that is there
with the right size is skipped. It is told to use one request a file (`multisegment=False`), because the protocol counts
requests; for speed one would let it use five, as `bench` does. It knows no rate and no deadline. Features (`needs`) it has
none of. Needs the extra `peers`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

try:
    import aiohttp
    from pypdl import Pypdl
except ImportError:
    sys.exit(2)

AT_ONCE = 4


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or job["needs"]:
        return 2
    missing = {str(part_of(job, file)): file for file in job["files"] if not is_there(job, file)}
    if not missing:
        return 0
    tasks = []
    for part, file in missing.items():
        Path(part).parent.mkdir(parents=True, exist_ok=True)
        # Its tries are those of a file, over all mirrors.
        retries = len(file["urls"]) + job["attempts"] - 2
        first, *others = file["urls"]
        tasks.append({"url": first, "mirrors": others, "file_path": part, "retries": retries})
    patience = aiohttp.ClientTimeout(connect=job["connect_timeout_s"], sock_read=job["timeout_s"])
    results = Pypdl(max_concurrent=AT_ONCE).start(
        tasks=tasks,
        multisegment=False,
        hash_algorithms="sha256",
        timeout=patience,
        display=False,
        block=True,
    )
    renamed = [is_renamed(job, missing, result) for result in results]
    return 0 if len(renamed) == len(tasks) and all(renamed) else 1


def part_of(job: dict[str, Any], file: dict[str, Any]) -> Path:
    path = Path(job["folder"], file["path"])
    return path.with_name(f"{path.name}.part")


def is_there(job: dict[str, Any], file: dict[str, Any]) -> bool:
    path = Path(job["folder"], file["path"])
    return path.exists() and path.stat().st_size == file["size"]


def is_renamed(job: dict[str, Any], missing: dict[str, Any], result: Any) -> bool:
    """`result` is (url, what pypdl says of the file)."""
    part = Path(result[1].path)
    file = missing[str(part)]
    if not result[1].validate_hash(file["sha256"], "sha256"):
        part.unlink(missing_ok=True)
        return False
    part.replace(Path(job["folder"], file["path"]))
    return True


if __name__ == "__main__":
    sys.exit(main())
