"""What tests of newer versions begin with: a model that is pinned to a commit, and its manifest in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fallback import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World

PIN = "ab" * 20
TINY = {"repo": "org/tiny", "repo_type": "model", "revision": PIN, "path": ""}
OWN: dict[str, Any] = {"dir": "own", "files": {"x.bin": {"size": 10}}}
"""A model that comes from nowhere."""


def in_force(world: World, folder: Path) -> Settings:
    """The settings of a machine that goes by the world's manifest, and has no file yet."""
    (folder / "models").mkdir()
    (folder / "models/.manifests.json").write_text(json.dumps(world.manifest()))
    return Settings(
        models_dir=folder / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        timeout_s=0.5,
        connect_timeout_s=0.5,
        backoff_s=0,
        max_wait_s=0.2,
        reserve_bytes=0,
    )
