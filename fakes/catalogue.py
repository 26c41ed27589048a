"""What a world serves: the models of a manifest, with bytes of our own making in place of the real ones.

Reads any dict of the manifest's shape (`models.json` of the engine is the default, read as data), makes a blob for each
file, and of each model's folder a DAG (profile unixfs-v1-2025), whose root is the model's CID. `Catalogue.manifest()` is
the manifest a client needs to fetch from this world, with everything that proves its bytes.

Does not validate like an engine must: of each file it needs nothing but its size.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fakes.blockstore import Blockstore
from fakes.content import make_blob
from fakes.planting import plant_file, plant_folder
from fallback.ipfs.unixfs import V1_2025

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.content import Blob

Size = Literal["full", "small"]
RepoType = Literal["model", "dataset", "space"]


@dataclass(frozen=True)
class Repo:
    """Where the Hub has a model: `commit` is the pinned revision, else one of our own; `path` a folder or empty."""

    name: str
    type: RepoType
    revision: str
    commit: str
    path: str


@dataclass(frozen=True)
class Model:
    """One model: its name in the manifest, its folder's CID, its repo on the Hub, its blobs and their CIDs by path."""

    name: str
    cid: str
    repo: Repo | None
    files: Mapping[str, Blob]
    cids: Mapping[str, str]


class Catalogue:
    """The models of a manifest-shaped dict, each file at its real size ("full") or at a small one ("small").

    `blocks` are those of all their DAGs; a world copies them into a store of its own.
    """

    def __init__(
        self, manifest: Mapping[str, Any] | None = None, *, size: Size = "full", scratch: Path | None = None
    ) -> None:
        if size not in {"full", "small"}:
            raise ValueError(f"size is full or small, not {size!r}")
        given: object = builtin_manifest() if manifest is None else manifest
        if not isinstance(given, Mapping) or not given:
            raise ValueError("a manifest is an object of models, and has one at least")
        self._manifest = copy.deepcopy(dict(given))
        self._size = size
        self.blocks = Blockstore()
        self.models = {name: self._model(name, entry, scratch) for name, entry in self._manifest.items()}

    def _model(self, name: str, entry: Mapping[str, Any], scratch: Path | None) -> Model:
        try:
            sizes = {path: int(file["size"]) for path, file in entry["files"].items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f'{name}: a model needs "files", and each file a "size" in bytes') from error
        files = {
            path: make_blob(f"{name}/{path}", self._scaled(size), scratch) for path, size in sizes.items()
        }
        built = {path: plant_file(blob, self.blocks) for path, blob in files.items()}
        try:
            root = plant_folder(built, self.blocks)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        cids = {path: str(file.cid) for path, file in built.items()}
        return Model(name, str(root.cid), _repo(entry.get("huggingface")), files, cids)

    def _scaled(self, size: int) -> int:
        return min(size, 20_000 + size // 1000) if self._size == "small" else size

    def manifest(self, *, proofs: bool = True) -> dict[str, Any]:
        """The manifest with this world's sizes, hashes and CIDs, and everything else as it came.

        Without `proofs`, of a file its size and sha256 alone, as in the original's manifests.
        """
        manifest = copy.deepcopy(self._manifest)
        for name, model in self.models.items():
            manifest[name]["ipfs"] = {"cid": model.cid, "path": "", "profile": V1_2025.name}
            for path, blob in model.files.items():
                file = manifest[name]["files"][path]
                for proof in ("cid", "chunks"):  # of the real bytes, which ours are not
                    file.pop(proof, None)
                file.update(size=blob.size, sha256=blob.sha256)
                if proofs:
                    file.update(cid=model.cids[path], chunks=[digest.hex() for digest in blob.chunks])
        return manifest

    def blobs(self) -> list[Blob]:
        """Every blob of every model."""
        return [blob for model in self.models.values() for blob in model.files.values()]


def builtin_manifest() -> dict[str, Any]:
    """The engine's own list of models, read as data."""
    document = (importlib.resources.files("fallback") / "models.json").read_bytes()
    manifest: dict[str, Any] = json.loads(document)
    return manifest


def targets(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every file's entry in the manifest, by its path below the models folder."""
    return {
        f"{model['dir']}/{path}": file for model in manifest.values() for path, file in model["files"].items()
    }


def total_bytes(manifest: Mapping[str, Any]) -> int:
    """The sum of all sizes."""
    return sum(file["size"] for file in targets(manifest).values())


def _repo(entry: Mapping[str, Any] | None) -> Repo | None:
    if entry is None:
        return None
    name, revision = entry["repo"], entry.get("revision", "main")
    pinned = re.fullmatch(r"[0-9a-f]{40}", revision)
    commit = revision if pinned else hashlib.sha256(f"commit of {name}".encode()).hexdigest()[:40]
    return Repo(name, entry.get("repo_type", "model"), revision, commit, entry.get("path", ""))
