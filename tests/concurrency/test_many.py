"""Twenty processes and thirteen files: each is right at every instant, and travels once where locks work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from fallback import Manifest
from tests.concurrency.processes import Process, Watched, bodies, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.concurrency.processes import Locks

PROCESSES = 20


def twenty(tmp_path: Path, locks: Locks) -> dict[str, int]:
    """Twenty processes sync the built-in manifest's thirteen files, made small; how often each body travelled."""
    with World(size="small") as world:
        document = world.manifest()
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(document))
        manifest = Manifest.parse(path.read_text(), name="world")
        allowed = {
            tmp_path / "models" / model.target(file): {file.sha256 or ""} for model, file in manifest.files()
        }
        assert len(allowed) == 13
        told = environment(world, tmp_path / "models", MANIFEST=str(path), LOCK_TIMEOUT_S="100")
        watched = Watched(allowed)
        with watched.during():
            running = [Process(["sync", "--quiet"], told, locks) for _ in range(PROCESSES)]
            assert [process.ended() for process in running] == [0] * PROCESSES
        assert not watched.wrong
        assert all(path.exists() for path in allowed)
        assert not list((tmp_path / "models").rglob("*.partial"))
        return bodies(world)


@pytest.mark.timeout(240)
def test_twenty_processes_share_thirteen_files(tmp_path: Path) -> None:
    assert set(twenty(tmp_path, "work").values()) == {1}


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("locks", ["fail", "lie"])
def test_twenty_processes_without_locks(tmp_path: Path, locks: Locks) -> None:
    """P10: more bodies, and nothing else."""
    assert len(twenty(tmp_path, locks)) == 13
