"""huggingface_hub's `snapshot_download` of each repository of a manifest, into the folders where the models belong.

A program of its own, run as `snapshot.py MANIFEST.json FOLDER ENDPOINT JOBS`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

MANIFEST, FOLDER, ENDPOINT, JOBS = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
# Read when it is imported.
os.environ |= {"HF_ENDPOINT": ENDPOINT, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(FOLDER.with_name("hf-home"))}

from huggingface_hub import snapshot_download  # noqa: E402 - as above


def main() -> int:
    """Have every repository; returns the exit code."""
    for model in json.loads(MANIFEST.read_text()).values():
        hub, into = model["huggingface"], FOLDER / model["dir"]
        inside = hub.get("path") or ""
        # A folder of the repository is a model of ours: its files are moved to where they belong.
        to = FOLDER / ".snapshot" if inside else into
        snapshot_download(
            hub["repo"],
            repo_type=hub.get("repo_type", "model"),
            revision=hub.get("revision", "main"),
            allow_patterns=f"{inside}/*" if inside else None,
            local_dir=to,
            max_workers=JOBS,
        )
        if inside and not into.exists():
            into.parent.mkdir(parents=True, exist_ok=True)
            (to / inside).rename(into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
