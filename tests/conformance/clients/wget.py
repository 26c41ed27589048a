#!/usr/bin/env python3
"""wget as a client under test, with every option it has for this: tries, timeouts for name, connection and silence.

wget knows one URL at a time and no digests, no floor for the rate, no end of a whole run and no size that it would hold a
file to. The wrapper adds what a careful shell script does, and no more: it tries a file's URLs in turn, has wget write to a
name beside the file (`.part`, resumed by `--continue`) and renames it, skips a file that is there with the right size,
compares the size that came with the job's, and ends wget at the deadline, as `timeout wget …` does. wget retries what it
calls not fatal by itself, in which it counts no refused connection and no status of 500: both are asked for. Features
(`needs`) it has none of.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or job["needs"]:
        return 2
    ends_at = time.monotonic() + job["deadline_s"] - 0.2
    results = [fetched(job, file, ends_at) for file in job["files"]]
    return 0 if all(results) else 1


def fetched(job: dict[str, Any], file: dict[str, Any], ends_at: float) -> bool:
    path = Path(job["folder"], file["path"])
    if path.exists() and path.stat().st_size == file["size"]:
        return True
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in file["urls"]:
        left = ends_at - time.monotonic()
        if left > 0 and is_done(command(job, url, part), left):
            if part.exists() and part.stat().st_size == file["size"]:
                part.replace(path)
                return True
            part.unlink(missing_ok=True)
    return False


def is_done(words: list[str], left: float) -> bool:
    try:
        return subprocess.run(words, check=False, timeout=left).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def command(job: dict[str, Any], url: str, part: Path) -> list[str]:
    limits = {
        "--tries": job["attempts"],
        "--waitretry": max(1, round(job["backoff_s"])),
        "--dns-timeout": job["connect_timeout_s"],
        "--connect-timeout": job["connect_timeout_s"],
        "--read-timeout": job["timeout_s"],
        "--max-redirect": 10,
        "--retry-on-http-error": "408,425,429,500,502,503,504",
    }
    how = ["--no-verbose", "--continue", "--retry-connrefused", "--no-hsts", "--no-netrc", "--no-config"]
    trust = [f"--ca-certificate={job['ca_bundle']}"] if job["ca_bundle"] else []
    words = [f"{name}={value}" for name, value in limits.items()]
    return ["wget", *how, *words, *trust, "-O", str(part), url]


if __name__ == "__main__":
    sys.exit(main())
