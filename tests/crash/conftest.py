"""One world for all tests of a module, and a stage with an empty folder for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from tests.crash.stage import MODELS, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=2) as world:
        yield world


@pytest.fixture(name="stage")
def _stage(world: World, tmp_path: Path) -> Stage:
    stage = Stage(world, tmp_path / "stage")
    stage.clear()
    return stage
