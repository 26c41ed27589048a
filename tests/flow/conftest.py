"""The world and settings that flow tests share: one tiny model, short timeouts."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from fakes.world import World
from fallback import Manifest, Settings
from fallback.ipfs.unixfs import V0_2015

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""},
        "files": {"config.json": {"size": 900}, "onnx/model.onnx": {"size": 3_000_000}},
    }
}


def models_of(files: dict[str, int]) -> dict[str, Any]:
    """One model, `large`, of files of these sizes."""
    return {
        "large": {
            "type": "stt",
            "dir": "org/large",
            "huggingface": {"repo": "org/large", "repo_type": "model", "revision": "main", "path": ""},
            "files": {path: {"size": size} for path, size in files.items()},
        }
    }


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="manifest")
def _manifest(world: World) -> Manifest:
    """Size and sha256 of each file, and a CID that is said to prove no chunks: what they change has tests of its own."""
    document = world.manifest(proofs=False)
    for model in document.values():
        model["ipfs"]["profile"] = V0_2015.name
    return Manifest.parse(json.dumps(document), name="world")


@pytest.fixture(name="proven")
def _proven(world: World) -> Manifest:
    """All that the world says of its files, with what proves their chunks."""
    return Manifest.parse(json.dumps(world.manifest()), name="world")


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    return settings_of(world, tmp_path)


def settings_of(world: World, folder: Path) -> Settings:
    """All of a world's sources, and no patience."""
    return Settings(
        models_dir=folder / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        timeout_s=0.5,
        connect_timeout_s=0.5,
        backoff_s=0.05,
        max_wait_s=1,
        reserve_bytes=0,
    )


@pytest.fixture(name="all_right")
def _all_right(world: World, settings: Settings) -> Callable[[], bool]:
    """Whether every file of the world is on disk and every byte of it is right."""

    def right() -> bool:
        return all(
            hashlib.sha256((settings.models_dir / model["dir"] / path).read_bytes()).hexdigest()
            == file["sha256"]
            for model in world.manifest().values()
            for path, file in model["files"].items()
        )

    return right
