"""What is answered: each question that takes no run, as plain data; all of it reads the disk, in a thread.

Exclusions: routes, statuses and headers are `app`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallback import metrics, report
from fallback.broadcast import model_id
from fallback.engine import load_manifest

if TYPE_CHECKING:
    from fallback.settings import Settings


NONE = {"success": 0, "error": 0, "avg_latency": 0.0}


def models(settings: Settings) -> dict[str, Any]:
    """Each model of the manifest and each of its files: present, verified when, from which layer, which version."""
    manifest = load_manifest(settings)
    status = report.status(settings)
    files: dict[str, list[dict[str, Any]]] = {model.name: [] for model in manifest.models}
    for file in status["files"]:
        files.setdefault(file["model"], []).append({key: file[key] for key in file if key != "model"})
    versions = {each["model"]: each for each in status["models"]}
    return {
        "manifest": status["manifest"],
        "models_dir": status["models_dir"],
        "last_error": status["last_error"],
        "models": [
            {
                "name": model.name,
                "type": model.type,
                "model_id": model_id(model.name, model.type),
                "dir": model.dir,
                "version": _version(versions[model.name]),
                "files": files[model.name],
            }
            for model in manifest.models
        ],
    }


def sources(settings: Settings) -> dict[str, Any]:
    """Each source in its order: its health and why, and what its attempts of the last hours came to."""
    records = report.metrics_report(settings, "records")["metrics"]
    counted = metrics.summary(records)
    by_host = {"ipfs": counted["gateways"], "peer": counted.get("peers", {})}

    def attempts(source: dict[str, Any]) -> dict[str, Any]:
        layer = source["layer"]
        found = by_host[layer].get(source["source"]) if layer in by_host else counted.get(layer)
        return {"attempts": found or NONE}

    return {"sources": [source | attempts(source) for source in report.sources(settings)]}


def model_at(settings: Settings, path: str) -> str | None:
    """The model that a file below the models folder belongs to, by the manifest."""
    files = load_manifest(settings).files()
    return next((model.name for model, file in files if model.target(file) == path), None)


def _version(said: dict[str, Any]) -> dict[str, Any]:
    """What is known of the model's version, and short names for two of it."""
    about = {key: said[key] for key in said if key != "model"}
    return about | {"since": said["unknown_since"], "commit": said["found"]}
