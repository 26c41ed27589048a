#!/usr/bin/env python3
"""parfive as a client under test: all files that are missing in its queue, four at once, with the SHA-256 as `checksum`.

parfive proves every byte and leaves no wrong file, but writes under the name it is given: that is one beside the file
(`.part`), renamed when parfive says that it is right. It has no notion of several sources: the wrapper queues what failed
anew with each file's next URL, which is also all the trying again there is, as `Downloader.retry` forgets the checksum. Whether
a file is there already parfive's own check of its digest says. One range a file (`max_splits=1`): with more it would not notice a
server that ignores them. It knows no rate; the deadline is its `total` timeout, a request. Features (`needs`) it has none
of. Needs the extra `peers`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
try:
    import aiohttp
    from parfive import Downloader, SessionConfig
    from parfive.utils import check_file_hash
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
    ends_at = BEGAN + job["deadline_s"] - 0.5
    missing = [file for file in job["files"] if not is_there(job, file)]
    for number in itertools.count():
        queued = [file for file in missing if number < len(file["urls"])]
        left = ends_at - time.monotonic()
        if not queued or left <= 0:
            break
        had = round_of(job, queued, number, left)
        missing = [file for file in missing if file["path"] not in had]
    return 1 if missing else 0


def is_there(job: dict[str, Any], file: dict[str, Any]) -> bool:
    path = Path(job["folder"], file["path"])
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return bool(check_file_hash(stream, f"sha-256={file['sha256']}"))


def round_of(job: dict[str, Any], files: list[dict[str, Any]], number: int, left: float) -> set[str]:
    """Paths of the files that each one's URL of this number had."""
    patience = aiohttp.ClientTimeout(
        total=left, sock_connect=job["connect_timeout_s"], sock_read=job["timeout_s"]
    )
    queue = Downloader(
        max_conn=AT_ONCE,
        max_splits=1,
        progress=False,
        overwrite=True,
        config=SessionConfig(timeouts=patience),
    )
    parts = {}
    for file in files:
        path = Path(job["folder"], file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        parts[str(part)] = file["path"]
        queue.enqueue_file(
            file["urls"][number], path=part.parent, filename=part.name, checksum=f"sha-256={file['sha256']}"
        )
    results = queue.download()
    for error in results.errors:
        print(f"{error.url}: {error.exception}")
    for part in results:
        Path(part).replace(Path(job["folder"], parts[part]))
    return {parts[part] for part in results}


if __name__ == "__main__":
    sys.exit(main())
