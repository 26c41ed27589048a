#!/usr/bin/env python3
"""pooch as a client under test: `Pooch.fetch` with the SHA-256 in its registry and `retry_if_failed`, a URL at a time.

pooch proves every byte, writes to a temporary file beside the file's place and renames it, and knows a file that is there
by its digest: none of that is the wrapper's. It has no notion of several sources: the wrapper tries a file's URLs in turn.
It knows no rate, no deadline and no partial. Features (`needs`) it has none of. Needs the extra `peers`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

try:
    import pooch
    import requests
except ImportError:
    sys.exit(2)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or job["needs"]:
        return 2
    results = [fetched(job, file) for file in job["files"]]
    return 0 if all(results) else 1


def fetched(job: dict[str, Any], file: dict[str, Any]) -> bool:
    name = file["path"]
    download = pooch.HTTPDownloader(timeout=(job["connect_timeout_s"], job["timeout_s"]))
    for url in file["urls"]:
        # One attempt is the first, so one retry less.
        source = pooch.create(
            job["folder"],
            base_url="",
            registry={name: f"sha256:{file['sha256']}"},
            urls={name: url},
            retry_if_failed=job["attempts"] - 1,
        )
        try:
            source.fetch(name, downloader=download)
        except (requests.RequestException, ValueError, OSError) as error:
            print(f"{url}: {error}")
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
