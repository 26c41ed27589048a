#!/usr/bin/env python3
"""curl as a client under test, with every option it has for this: retries, timeouts, a floor for the rate, a cap on size.

curl knows one URL at a time and no digests. The wrapper adds what a careful shell script does, and no more: it tries a
file's URLs in turn, writes to a name beside the file (`.part`, resumed by curl if it is there) and renames it, and skips
a file that is there with the right size. The size that came is compared with the job's, because `--max-filesize` is
curl's own notion of it; a digest is not, because curl has none. Features (`needs`) it has none of.
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
        if left > 0 and subprocess.run(command(job, file, url, part, left), check=False).returncode == 0:
            if part.exists() and part.stat().st_size == file["size"]:
                part.replace(path)
                return True
            part.unlink(missing_ok=True)
    return False


def command(job: dict[str, Any], file: dict[str, Any], url: str, part: Path, left: float) -> list[str]:
    limits = {
        "--connect-timeout": job["connect_timeout_s"],
        "--max-time": round(left, 3),
        "--speed-limit": max(1, round(job["min_rate_bytes_s"])),
        "--speed-time": max(1, round(job["timeout_s"])),
        "--max-filesize": max(1, file["size"]),
        "--retry": job["attempts"] - 1,
        "--retry-delay": max(1, round(job["backoff_s"])),
        "--retry-max-time": max(1, round(left)),
        "--max-redirs": 10,
        "--proto": "=http,https",
        "--proto-redir": "=https" if url.startswith("https:") else "=http,https",
    }
    words = [str(word) for pair in limits.items() for word in pair]
    trust = ["--cacert", job["ca_bundle"]] if job["ca_bundle"] else []
    how = ["--fail", "--location", "--silent", "--show-error", "--retry-all-errors", "--continue-at", "-"]
    return ["curl", *how, *words, *trust, "--output", str(part), url]


if __name__ == "__main__":
    sys.exit(main())
