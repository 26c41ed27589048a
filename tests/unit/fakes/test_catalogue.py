from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

import fallback
from fakes.catalogue import Catalogue, builtin_manifest
from fallback.ipfs import building
from fallback.ipfs.unixfs import V1_2025

BUILTIN = json.loads((Path(fallback.__file__).parent / "models.json").read_text())


def test_the_builtin_manifest_is_the_engines() -> None:
    assert builtin_manifest() == BUILTIN
    assert sum(len(model["files"]) for model in BUILTIN.values()) == 13


def test_small_sizes_follow_the_rule_and_full_ones_the_manifest() -> None:
    small = Catalogue(size="small").manifest()
    for name, model in BUILTIN.items():
        for path, file in model["files"].items():
            expected = min(file["size"], 20_000 + file["size"] // 1000)
            assert small[name]["files"][path]["size"] == expected


def test_only_sizes_hashes_and_cids_are_replaced(tiny: dict[str, Any]) -> None:
    before = copy.deepcopy(tiny)
    before["tiny"]["note"] = "kept"
    before["tiny"]["files"]["config.json"]["odd"] = [1]
    made = Catalogue(before, size="full")
    model = made.manifest()["tiny"]
    assert model.pop("ipfs") == {"cid": made.models["tiny"].cid, "path": "", "profile": "unixfs-v1-2025"}
    for path, file in model["files"].items():
        blob = made.models["tiny"].files[path]
        assert file.pop("sha256") == blob.sha256 == hashlib.sha256(blob.view()).hexdigest()
        before["tiny"]["files"][path].pop("sha256")
        assert file.pop("cid") == made.models["tiny"].cids[path]
        assert len(file.pop("chunks")) == -(-blob.size // 2**20)
    before["tiny"]["files"]["onnx/big one.bin"].pop("cid")
    assert model == before["tiny"]


def test_a_manifest_without_proofs_has_none(tiny: dict[str, Any]) -> None:
    manifest = Catalogue(tiny).manifest(proofs=False)["tiny"]
    assert manifest["ipfs"]["cid"]
    assert all(set(file) == {"size", "sha256"} for file in manifest["files"].values())


def test_what_the_manifest_says_is_what_the_bytes_are() -> None:
    """Every CID and chunk, by building the same DAG from the bytes; an empty file has a CID and no chunk."""
    sizes = {"a": 0, "b/c": 2**20, "b/d": 2**20 + 1, "b/e/f": 3_000_000, "\u0105": 5}
    made = Catalogue({"m": {"files": {path: {"size": size} for path, size in sizes.items()}}}, size="full")
    files = {path: bytes(blob.view()) for path, blob in made.models["m"].files.items()}
    manifest = made.manifest()["m"]
    for path, data in files.items():
        chunks = [data[at : at + 2**20] for at in range(0, len(data), 2**20)]
        assert manifest["files"][path]["chunks"] == [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
        assert manifest["files"][path]["cid"] == str(building.from_chunks(chunks, V1_2025).cid)
    by_hand = {
        path: building.file(io.BytesIO(data), V1_2025) for path, data in files.items() if "/" not in path
    }
    deepest = building.directory({"f": building.file(io.BytesIO(files["b/e/f"]), V1_2025)}, V1_2025)
    inside = {path[2:]: building.file(io.BytesIO(files[path]), V1_2025) for path in ("b/c", "b/d")}
    by_hand["b"] = building.directory({**inside, "e": deepest}, V1_2025)
    assert manifest["ipfs"]["cid"] == str(building.directory(by_hand, V1_2025).cid)


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a")])
def test_a_path_that_is_a_file_and_a_folder_is_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^m: a.*cannot be a f"):
        Catalogue({"m": {"files": {path: {"size": 1} for path in paths}}})


def test_the_manifest_given_is_left_alone(tiny: dict[str, Any]) -> None:
    before = copy.deepcopy(tiny)
    Catalogue(tiny).manifest()["tiny"]["files"].clear()
    assert tiny == before


def test_a_pinned_revision_is_the_commit_and_main_gets_one_of_its_own() -> None:
    models = Catalogue(size="small").models
    whisper, tts = models["whisper-base"].repo, models["tts-models"].repo
    assert whisper is not None
    assert whisper.commit == whisper.revision == BUILTIN["whisper-base"]["huggingface"]["revision"]
    assert tts is not None
    assert tts.revision == "main"
    assert re.fullmatch(r"[0-9a-f]{40}", tts.commit)


@pytest.mark.parametrize("broken", [{"m": {}}, {"m": {"files": {"a": {}}}}, {"m": []}, {"m": {"files": []}}])
def test_a_manifest_without_sizes_is_refused_by_name(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^m: a model needs"):
        Catalogue(broken)


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(ValueError, match="full or small"):
        Catalogue({}, size="huge")  # type: ignore[arg-type]  # what a caller without mypy may do
