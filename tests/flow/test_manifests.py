"""Manifests made of the fake Hub and of folders, and then synced: what is promised is what comes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, Hang, Status
from fakes.world import World
from fallback import (
    ManifestError,
    Settings,
    StoppedError,
    UnavailableError,
    add_to_manifest,
    manifest_from_dir,
    manifest_from_hub,
    sync,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback import Manifest

REPOS: dict[str, dict[str, Any]] = {
    "whisper-base": {"repo": "onnx-community/whisper-base"},
    "tts-models": {
        "repo": "AnEntrypoint/sttttsmodels",
        "repo_type": "dataset",
        "path": "tts",
        "name": "tts-models",
        "model_dir": "tts",
    },
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    """Both of its repositories, three entries a page: that is two pages and three."""
    with World(page_size=3) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    return Settings(
        models_dir=tmp_path / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        backoff_s=0,
        max_wait_s=0.5,
        timeout_s=2,
        reserve_bytes=0,
    )


def files(manifest: Manifest) -> dict[str, Any]:
    (model,) = json.loads(manifest.to_json()).values()
    return {path: model["files"][path] for path in sorted(model["files"])}


@pytest.mark.parametrize("name", REPOS)
def test_what_the_hub_lists_is_what_it_has(world: World, settings: Settings, name: str) -> None:
    """Sizes and SHA-256 of all files, in LFS or not, over several pages; pinned to the commit; nothing of LFS fetched."""
    want = world.manifest(proofs=False)[name]
    revision = want["huggingface"]["revision"]
    manifest = manifest_from_hub(**REPOS[name], revision=revision, settings=settings)
    assert files(manifest) == {path: want["files"][path] for path in sorted(want["files"])}
    (model,) = manifest.models
    repo = world.catalogue.models[name].repo
    assert model.huggingface is not None
    assert repo is not None
    assert model.huggingface.revision == repo.commit
    assert (model.type, model.dir) == (want["type"], want["dir"])
    assert len(world.journal.select(server="hub", path="*/tree/*")) >= 2
    assert not world.journal.select(server="cdn")


def test_a_sync_goes_by_what_was_added(world: World, settings: Settings) -> None:
    """From the Hub alone, for nobody has published it; every byte proven by the new manifest's hashes."""
    for arguments in REPOS.values():
        add_to_manifest(manifest_from_hub(**arguments, settings=settings), settings=settings)
    world.journal.clear()
    summary = sync(settings=settings)
    assert summary.ok
    assert {file.layer for file in summary.files} == {"huggingface"}
    for model in world.manifest().values():
        for path, file in model["files"].items():
            data = (settings.models_dir / model["dir"] / path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]


def test_a_folder_that_was_synced_makes_the_same_manifest_and_needs_no_request(
    world: World, settings: Settings
) -> None:
    """Round trip, with the state gone: `sync` finds everything already there. The Hub's bytes give the same CIDs."""
    made = manifest_from_hub(**REPOS["whisper-base"], chunks=True, settings=settings)
    cids = {path: file["cid"] for path, file in world.manifest()["whisper-base"]["files"].items()}
    assert {path: file["cid"] for path, file in files(made).items()} == dict(sorted(cids.items()))
    assert sync(made, settings=settings).ok
    again = manifest_from_dir(settings.models_dir / "onnx-community/whisper-base", settings=settings)
    assert files(again) == files(made)
    assert again.models[0].dir == "onnx-community/whisper-base"
    fresh = Settings(
        models_dir=settings.models_dir,
        state_dir=settings.models_dir / ".other",
        gateways=(world.gateways[0],),
    )
    world.journal.clear()
    summary = sync(again, settings=fresh)
    assert (summary.ok, {file.layer for file in summary.files}) == (True, {"cache"})
    assert not world.journal.entries()


def test_faults_on_the_way_are_asked_again(world: World, settings: Settings) -> None:
    """A 500 for a page, a 429 for the commit, wrong bytes of a small file: once each, and the result is right."""
    world.add("hub", Status(429, retry_after=0), path="*/revision/*", first=1)
    world.add("hub", Status(500), path="*/tree/*", nth=2)
    world.add("hub", Corrupt(), path="*/resolve-cache/*", nth=1)
    manifest = manifest_from_hub(**REPOS["whisper-base"], settings=settings)
    assert files(manifest) == dict(sorted(world.manifest(proofs=False)["whisper-base"]["files"].items()))


def test_small_files_that_stay_wrong_make_no_manifest(world: World, settings: Settings) -> None:
    """The Hub's own git id proves it; the error names the file."""
    world.add("hub", Corrupt(), path="*/resolve-cache/*")
    with pytest.raises(UnavailableError, match="git's id") as caught:
        manifest_from_hub(**REPOS["whisper-base"], settings=settings)
    assert caught.value.name.startswith("whisper-base/")
    assert caught.value.name.endswith(".json")


def test_unsafe_names_in_the_tree_are_all_named_before_anything_is_fetched(tmp_path: Path) -> None:
    """P8, at its source: what a repository calls its files is an outside name."""
    names = {
        "../up": {"size": 5},
        "a/nul": {"size": 5},
        "X": {"size": 5},
        "x": {"size": 5},
        "fine": {"size": 5},
    }
    hub = {"repo": "org/bad", "repo_type": "model", "revision": "main", "path": ""}
    with World({"bad": {"huggingface": hub, "files": names}}, page_size=2) as world:
        settings = Settings(models_dir=tmp_path, hf_endpoint=world.hub)
        with pytest.raises(ManifestError) as caught:
            manifest_from_hub("org/bad", settings=settings)
        assert not world.journal.select(path="*/resolve/*")
        assert list(files(manifest_from_hub("org/bad", include=["fine"], settings=settings))) == ["fine"]
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert all(part in text for part in ("'..'", "NUL", "alike but for case")), text


def test_stop_ends_it_while_the_hub_is_silent(world: World, settings: Settings) -> None:
    """Long before `timeout_s`, and no thread of it is left."""
    world.add("hub", Hang(), path="*/resolve-cache/*")
    patient, stop = dataclasses.replace(settings, timeout_s=30), threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        manifest_from_hub(**REPOS["whisper-base"], settings=patient, stop=stop)
    assert time.monotonic() - began < 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fallback_")]


def shell(world: World, folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    own = {"HOME": str(folder), "FALLBACK_MODELS_DIR": str(folder / "models"), "FALLBACK_BACKOFF_S": "0"}
    return subprocess.run(
        [sys.executable, "-m", "fallback", *args],
        env=inherited | world.environment() | own | env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_line_from_the_hub_to_a_sync(world: World, tmp_path: Path) -> None:
    """Two commands make a model be here; stdout is the manifest, and the other built-in model is not lost."""
    args = ("manifest", "from-hub", "onnx-community/whisper-base", "--include", "*.json", "--add")
    done = shell(world, tmp_path, *args)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["whisper-base"]["files"]) == 5
    assert "model whisper-base was there, with 7 file(s), and is replaced" in done.stderr
    assert list(json.loads((tmp_path / "models/.manifests.json").read_text())) == [
        "whisper-base",
        "tts-models",
    ]
    done = shell(world, tmp_path, "sync", "whisper-base")
    assert "5 of 5 files right" in done.stderr


CASES: list[tuple[list[str], int, str]] = [
    (["org/absent"], 1, "no model repository org/absent"),
    (["onnx-community/whisper-base", "--repo-type", "dataset"], 1, "model or a dataset"),
    (["onnx-community/whisper-base", "--revision", "v9"], 1, 'no revision "v9"'),
    (["onnx-community/whisper-base", "--path", "nope"], 1, 'has nothing at "nope"'),
    (["onnx-community/whisper-base", "--include", "*.gguf"], 2, "no file that matches '*.gguf'"),
]


@pytest.mark.parametrize(("args", "code", "message"), CASES)
def test_what_the_hub_does_not_have_is_said(
    world: World, tmp_path: Path, args: list[str], code: int, message: str
) -> None:
    """1: the Hub could not serve it; 2: nothing of it was asked for. No manifest either way."""
    done = shell(world, tmp_path, "manifest", "from-hub", *args, "--add", HF_TOKEN="hf_secret")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "hf_secret" not in done.stderr
    assert not (tmp_path / "models/.manifests.json").exists()
