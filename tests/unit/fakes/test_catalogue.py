from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import fallback
from fakes.catalogue import Catalogue, builtin_manifest, placeholder_cid

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
    assert model.pop("ipfs") == {"cid": made.models["tiny"].cid, "path": ""}
    for path, file in model["files"].items():
        blob = made.models["tiny"].files[path]
        assert file.pop("sha256") == blob.sha256 == hashlib.sha256(blob.view()).hexdigest()
        before["tiny"]["files"][path].pop("sha256")
    before["tiny"]["files"]["onnx/big one.bin"].pop("cid")
    assert model == before["tiny"]


def test_the_manifest_given_is_left_alone(tiny: dict[str, Any]) -> None:
    before = copy.deepcopy(tiny)
    Catalogue(tiny).manifest()["tiny"]["files"].clear()
    assert tiny == before


def test_placeholder_cids_look_like_cids_and_differ() -> None:
    cids = {model.cid for model in Catalogue(size="small").models.values()}
    assert len(cids) == 2
    assert all(re.fullmatch(r"bafybei[a-z2-7]{52}", cid) for cid in cids)
    assert placeholder_cid("x") == placeholder_cid("x") != placeholder_cid("y")


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
