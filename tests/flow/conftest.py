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


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    return Settings(
        models_dir=tmp_path / "models",
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
            hashlib.sha256((settings.models_dir / "org/tiny" / path).read_bytes()).hexdigest()
            == file["sha256"]
            for path, file in world.manifest()["tiny"]["files"].items()
        )

    return right
