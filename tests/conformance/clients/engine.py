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

KNOWN = {"car", "events", "metrics", "publish", "token"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["fetch", "publish"])
    parser.add_argument("--job", type=Path, required=True)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    if not set(job["needs"]) <= KNOWN:
        sys.exit(2)
    manifest = Path("manifest.json").absolute()  # every run has a folder of its own
    manifest.write_text(json.dumps(manifest_of(job)))
    os.environ.update(settings_of(job, manifest))
    if job.get("events"):
        os.dup2(os.open(job["events"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    code = run("sync", "--json") if options.verb == "fetch" else publish(job["publish"])
    if job.get("metrics"):
        write_metrics(Path(job["metrics"]))
    sys.exit(1 if code in {2, 3} else code)


def run(*command: str) -> int:
    """The command line in this process, so that signals are its own; its exit code."""
    from fallback.cli.main import main as fallback

    sys.argv = ["fallback", *command]
    try:
        fallback()
    except SystemExit as ended:
        return int(ended.code or 0)


def publish(order: dict[str, Any]) -> int:
    """`fallback publish`, which prints each model with its CID as JSON."""
    target = {"kubo": "FALLBACK_KUBO_API", "pinata": "FALLBACK_PINATA_API"}[order["to"]]
    os.environ |= {target: order["api"], "FALLBACK_PINATA_JWT": order["token"] or ""}
    told = os.open("told.jsonl", os.O_RDWR | os.O_CREAT)
    os.dup2(told, 1)
    code = run("publish", "--to", order["to"], "--json")
    lines = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    found = {line["model"]: line["cid"] for line in lines if line["event"] == "published"}
    if code == 0:
        Path(order["result"]).write_text(json.dumps(found))
    return code


def write_metrics(path: Path) -> None:
    from fallback import Settings
    from fallback.report import metrics_report

    settings = Settings.load()
    records = metrics_report(settings, "records")["metrics"]
    path.write_text(json.dumps({"records": records, "summary": metrics_report(settings, "summary")}))


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
        "patience_s": job["patience_s"],
        "min_rate_bytes_s": job["min_rate_bytes_s"],
        "gateway_attempts": job["attempts"],
        "hub_attempts": job["attempts"],
        "backoff_s": job["backoff_s"],
        "max_wait_s": job["max_wait_s"],
        "deadline_s": job["deadline_s"],
        "lock_timeout_s": job["deadline_s"]
        / 4,  # so that there is time to work beside a holder that stands still
        "reserve_bytes": 0,
    }
    return {f"FALLBACK_{name.upper()}": str(value) for name, value in settings.items() if value is not None}


if __name__ == "__main__":
    main()
