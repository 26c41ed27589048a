#!/usr/bin/env python3
"""This engine as a client under test: the job becomes a manifest and settings, and `fallback sync` does the rest.

Its exit codes 2 (a manifest that makes no sense) and 3 (storage) are the protocol's 1: it failed cleanly. Progress events
are what `--json` prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

KNOWN = {"car", "events", "metrics", "token"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if options.verb != "fetch" or not set(job["needs"]) <= KNOWN:
        sys.exit(2)
    manifest = Path(job["state"]) / "manifest.json"
    manifest.write_text(json.dumps(manifest_of(job)))
    os.environ.update(settings_of(job, manifest))
    sys.argv = ["fallback", "sync", "--json"]
    if job.get("events"):
        events = os.open(job["events"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(events, 1)
    from fallback.cli.main import main as fallback

    try:
        fallback()
    except SystemExit as ended:
        sys.exit(1 if ended.code in {2, 3} else ended.code)


def manifest_of(job: dict[str, Any]) -> dict[str, Any]:
    """The job's files as models; a path that a manifest cannot say is left to the engine to refuse."""
    models: dict[str, Any] = {}
    for file in job["files"]:
        models.setdefault(file["model"], model_of(file))["files"][name_of(file)] = {
            key: file[key] for key in ("size", "sha256", "cid", "chunks") if key in file
        }
    return models


def model_of(file: dict[str, Any]) -> dict[str, Any]:
    name = name_of(file)
    model = {"type": file["type"], "dir": file["path"].removesuffix(name).rstrip("/"), "files": {}}
    if file["ipfs"]:
        model["ipfs"] = {
            "cid": file["ipfs"]["cid"],
            "path": file["ipfs"]["path"].removesuffix(name).rstrip("/"),
        }
    if file["hub"]:
        hub = file["hub"]
        model["huggingface"] = {
            "repo": hub["repo"],
            "repo_type": hub["type"],
            "revision": hub["revision"],
            "path": hub["path"].removesuffix(name).rstrip("/"),
        }
    return model


def name_of(file: dict[str, Any]) -> str:
    """The file's path in its model: what its own path and those at its sources have in common."""
    path = str(file["path"])
    for place in (file["ipfs"], file["hub"]):
        if place and path.endswith(f"/{place['path']}"):
            return str(place["path"])
    return path.rpartition("/")[2]


def settings_of(job: dict[str, Any], manifest: Path) -> dict[str, str]:
    settings = {
        "models_dir": job["folder"],
        "state_dir": job["state"],
        "manifest": manifest,
        "gateways": ",".join(job["gateways"]) or "none",
        "hf_endpoint": (job["hub"] or {}).get("endpoint") or "http://127.0.0.1:9",
        "hf_token": (job["hub"] or {}).get("token"),
        "preferred_layer": job["preferred_layer"],
        "ca_bundle": job["ca_bundle"],
        "connect_timeout_s": job["connect_timeout_s"],
        "timeout_s": job["timeout_s"],
        "min_rate_bytes_s": job["min_rate_bytes_s"],
        "gateway_attempts": job["attempts"],
        "hub_attempts": job["attempts"],
        "backoff_s": job["backoff_s"],
        "max_wait_s": job["max_wait_s"],
        "deadline_s": job["deadline_s"],
        "reserve_bytes": 0,
    }
    return {f"FALLBACK_{name.upper()}": str(value) for name, value in settings.items() if value is not None}


if __name__ == "__main__":
    main()
