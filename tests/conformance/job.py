"""The job that a client gets: what PROTOCOL.md describes and `job.schema.json` checks, made from a world and a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fakes.content import Blob
    from fakes.world import World

NOBODY = "http://127.0.0.1:9"
"""Discard's port: nobody listens, and root alone could."""

TIMES = {
    "connect_timeout_s": 1.0,
    "timeout_s": 2.0,
    "min_rate_bytes_s": 1000,
    "patience_s": 1.0,
    "attempts": 2,
    "backoff_s": 0.1,
    "max_wait_s": 2.0,
    "deadline_s": 20.0,
}
"""Short, so that a case is over soon; a case that is about one of them sets its own."""


@dataclass(frozen=True)
class Wanted:
    """One file of a job: `path` below the job's folder, `name` below its model's."""

    path: str
    name: str
    model: str
    blob: Blob


def wanted(world: World) -> list[Wanted]:
    """Every file of the world."""
    manifest = world.manifest(proofs=False)
    return [
        Wanted(f"{manifest[model.name]['dir']}/{name}", name, model.name, blob)
        for model in world.catalogue.models.values()
        for name, blob in model.files.items()
    ]


def make_job(
    world: World,
    sources: Sequence[str],
    *,
    folder: Path,
    state: Path,
    proofs: bool = False,
    cids: bool = True,
    hub_token: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The job for every file of this world, from these sources in order; `changes` are fields that a case sets itself."""
    gateways = [_url(world, name) for name in sources if name != "hub"]
    endpoint = world.hub if "hub" in sources else None
    job: dict[str, Any] = {
        "protocol": 1,
        "needs": [],
        "folder": str(folder),
        "state": str(state),
        "gateways": gateways,
        "hub": {"endpoint": endpoint, "token": hub_token} if endpoint else None,
        "preferred_layer": "ipfs",
        "ca_bundle": str(world.ca) if world.ca else None,
        **TIMES,
        **changes,
    }
    manifest = world.manifest(proofs=proofs)
    job["files"] = [
        _file(job, each, world.catalogue.models[each.model].cid if cids else None, manifest[each.model])
        for each in wanted(world)
    ]
    return job


def _url(world: World, name: str) -> str:
    """A server of the world by its name; "nobody"; or any other URL, with {gateway1_port} and the like filled in."""
    ports = {f"{server}_port": url.rpartition(":")[2] for server, url in world.urls.items()}
    return NOBODY if name == "nobody" else world.urls.get(name) or name.format(**ports)


def _file(job: Mapping[str, Any], each: Wanted, cid: str | None, entry: Mapping[str, Any]) -> dict[str, Any]:
    repo = entry.get("huggingface")
    proofs = {
        key: entry["files"][each.name][key] for key in ("cid", "chunks") if key in entry["files"][each.name]
    }
    file = {
        "path": each.path,
        "size": each.blob.size,
        "sha256": each.blob.sha256,
        **proofs,
        "model": each.model,
        "type": entry.get("type", each.model),
        "ipfs": {"cid": cid, "path": each.name} if cid and job["gateways"] else None,
        "hub": _at_hub(repo, each.name) if repo and job["hub"] else None,
    }
    return {**file, "urls": list(urls(job, file))}


def _at_hub(repo: Mapping[str, Any], name: str) -> dict[str, str]:
    return {
        "repo": repo["repo"],
        "type": repo.get("repo_type", "model"),
        "revision": repo.get("revision", "main"),
        "path": "/".join(part for part in (repo.get("path", ""), name) if part),
    }


def urls(job: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
    """The file's URLs in the order in which they are to be tried."""
    ipfs, hub = file["ipfs"], file["hub"]
    layers = {
        "ipfs": [f"{gateway}/ipfs/{ipfs['cid']}/{quote(ipfs['path'])}" for gateway in job["gateways"]]
        if ipfs
        else [],
        "huggingface": [_hub_url(job["hub"]["endpoint"], hub)] if hub else [],
    }
    yield from layers[job["preferred_layer"]]
    for layer, found in layers.items():
        if layer != job["preferred_layer"]:
            yield from found


def _hub_url(endpoint: str, hub: Mapping[str, str]) -> str:
    kind = "datasets/" if hub["type"] == "dataset" else ""
    return f"{endpoint}/{kind}{hub['repo']}/resolve/{quote(hub['revision'], safe='')}/{quote(hub['path'])}"
