#!/usr/bin/env python3
"""requests as people write it: the loop of a thousand scripts, with the retries that its documentation suggests.

It tries a file's URLs in turn, streams to the final name, and skips a file that is there with the right size. There is no
digest in it, no partial and no rate, because there is none in those scripts. Features (`needs`) it has none of.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or job["needs"]:
        return 2
    retry = Retry(
        total=job["attempts"], backoff_factor=job["backoff_s"], status_forcelist=[429, 500, 502, 503, 504]
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    results = [fetched(session, job, file) for file in job["files"]]
    return 0 if all(results) else 1


def fetched(session: requests.Session, job: dict[str, Any], file: dict[str, Any]) -> bool:
    path = Path(job["folder"], file["path"])
    if path.exists() and path.stat().st_size == file["size"]:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in file["urls"]:
        try:
            with session.get(
                url, stream=True, timeout=(job["connect_timeout_s"], job["timeout_s"])
            ) as answer:
                answer.raise_for_status()
                with path.open("wb") as out:
                    for chunk in answer.iter_content(chunk_size=8192):
                        out.write(chunk)
        except (requests.RequestException, OSError) as error:
            print(f"{url}: {error}")
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
