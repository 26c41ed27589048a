"""What tests of newer versions begin with: a model that is pinned to a commit, and its manifest in force."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.flow.conftest import settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from fallback import Settings

PIN = "ab" * 20
TINY = {"repo": "org/tiny", "repo_type": "model", "revision": PIN, "path": ""}
OWN: dict[str, Any] = {"dir": "own", "files": {"x.bin": {"size": 10}}}
"""A model that comes from nowhere."""


def in_force(world: World, folder: Path) -> Settings:
    """The settings of a machine that goes by the world's manifest, and has no file yet."""
    (folder / "models").mkdir()
    (folder / "models/.manifests.json").write_text(json.dumps(world.manifest()))
    return replace(settings_of(world, folder), backoff_s=0, max_wait_s=0.2)
