#!/usr/bin/env python3
"""huggingface_hub as a client under test: `hf_hub_download` of each file into the models folder, from the Hub alone.

It knows no gateway and no URL but the Hub's: a job in which a file is not at a Hub is one it does not do (exit 2), and in
one with gateways and a Hub it asks the Hub. Resuming, retries and the size are its own, and so is what it keeps beside the
files (`.cache/huggingface`). It has no digest: the ETag is the server's word. Where a file's place ends as its path in the
repository does, it is put there by `local_dir`; else it is moved there from `state`. `HF_HOME` is below `state`, Xet and
telemetry are off. Of the features (`needs`) it knows `token`. Needs the extra `peers`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    is_known = options.verb == "fetch" and set(job["needs"]) <= {"token"}
    if not is_known or not all(file["hub"] for file in job["files"]):
        return 2
    os.environ |= {  # read when it is imported
        "HF_HOME": str(Path(job["state"], "hf-home")),
        "HF_HUB_DOWNLOAD_TIMEOUT": str(max(1, round(job["timeout_s"]))),
        "HF_HUB_ETAG_TIMEOUT": str(max(1, round(job["timeout_s"]))),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        return 2
    done = True
    for file in job["files"]:
        try:
            put(job, file, hf_hub_download)
        except Exception as error:  # noqa: BLE001 - its own errors and those of its HTTP library; other files are wanted still
            print(f"{file['path']}: {error}")
            done = False
    return 0 if done else 1


def put(job: dict[str, Any], file: dict[str, Any], download: Any) -> None:
    path, hub = Path(job["folder"], file["path"]), file["hub"]
    is_below = str(path).endswith(f"/{hub['path']}")
    into = Path(str(path).removesuffix(f"/{hub['path']}")) if is_below else Path(job["state"], "moved")
    token = job["hub"]["token"] or False
    got = download(
        hub["repo"],
        hub["path"],
        repo_type=hub["type"],
        revision=hub["revision"],
        endpoint=job["hub"]["endpoint"],
        etag_timeout=job["timeout_s"],
        local_dir=into,
        token=token,
    )
    if not is_below:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(got, path)


if __name__ == "__main__":
    sys.exit(main())
