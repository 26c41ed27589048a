#!/usr/bin/env python3
"""aria2c as a client under test: all of a file's URLs as its sources, in order, the SHA-256 as its checksum, `--continue`.

aria2c knows several sources and digests, retries, and an end of a whole run (`--stop`), so that the wrapper does little: one
aria2c a file, four at once; it writes beside the file (`.part`, with its `.aria2` record) and is renamed when aria2c says
that it is right, for aria2c itself writes under the final name. It is told to use one source at a time and in the job's
order (`--split=1 --uri-selector=inorder`), because the protocol has an order; for speed one would let it ask all at once,
as `bench` does. A file that is there with the right size is skipped: aria2c looks at no file before a source has answered.
Features (`needs`) it has none of.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

AT_ONCE = 4


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or job["needs"]:
        return 2
    ends_at = time.monotonic() + job["deadline_s"] - 0.2
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return 0 if all(list(pool.map(lambda file: fetched(job, file, ends_at), job["files"]))) else 1


def fetched(job: dict[str, Any], file: dict[str, Any], ends_at: float) -> bool:
    path = Path(job["folder"], file["path"])
    if path.exists() and path.stat().st_size == file["size"]:
        return True
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    left = ends_at - time.monotonic()
    if left > 0 and subprocess.run(command(job, file, part, left), check=False).returncode == 0:
        part.replace(path)
        return True
    return False


def command(job: dict[str, Any], file: dict[str, Any], part: Path, left: float) -> list[str]:
    limits = {
        "--checksum": f"sha-256={file['sha256']}",
        "--check-integrity": "true",
        "--connect-timeout": max(1, round(job["connect_timeout_s"])),
        "--timeout": max(1, round(job["timeout_s"])),
        "--lowest-speed-limit": max(1, round(job["min_rate_bytes_s"])),
        "--max-tries": job["attempts"],
        "--auto-save-interval": 1,
        "--retry-wait": max(1, round(job["backoff_s"])),
        "--stop": max(1, int(left)),
        "--always-resume": "false",
        "--split": 1,
        "--uri-selector": "inorder",
        "--file-allocation": "none",
        "--allow-overwrite": "true",
        "--auto-file-renaming": "false",
        "--summary-interval": 0,
        "--console-log-level": "warn",
    }
    trust = [f"--ca-certificate={job['ca_bundle']}"] if job["ca_bundle"] else []
    words = [f"{name}={value}" for name, value in limits.items()]
    where = [f"--dir={part.parent}", f"--out={part.name}"]
    return ["aria2c", "--no-conf", "--no-netrc", "--continue", *words, *trust, *where, *file["urls"]]


if __name__ == "__main__":
    sys.exit(main())
