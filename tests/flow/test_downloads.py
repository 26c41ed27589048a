"""`ipfs_downloads` and `ipfs_cids` tell of each download what became of it; and none of it is needed."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, Dribble, Status, Truncate
from fallback import StoppedError, sync
from fallback.events import Progressed, Warned
from fallback.state import State
from fallback.state.tables import MIGRATIONS
from tests.flow.told import ONNX, only

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event
    from fallback.state.downloads import Download

LARGE = "org/tiny/onnx/model.onnx"


def rows(settings: Settings, path: str = LARGE) -> list[Download]:
    with State(settings.state_path, print) as state:
        return [row for row in state.downloads.newest() if row.downloadPath == path]


def cids(settings: Settings) -> list[tuple[str, int, int]]:
    with State(settings.state_path, print) as state:
        return [
            (str(cid), int(good), int(bad))
            for cid, good, bad in state.db.execute("SELECT cid, success_count, failure_count FROM ipfs_cids")
        ]


def test_a_download_is_told_from_its_beginning_to_its_end(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    world.add("gateway1", Status(404))
    world.add("gateway2", Truncate(offset=2_000_000), path=ONNX, nth=1)
    assert sync(manifest, settings=settings).ok
    [row] = rows(settings)
    file = manifest.models[0].files[1]
    assert (row.status, row.attempts, row.hash) == ("success", 3, file.sha256)
    assert row.downloaded_bytes == row.currentSize == row.total_bytes == file.size
    assert row.completed_at is not None
    assert row.started_at <= row.completed_at
    root = world.manifest()["tiny"]["ipfs"]["cid"]
    assert cids(settings) == [(root, 2, 0)]  # not before it was good


def test_a_cache_hit_is_no_download(world: World, settings: Settings, manifest: Manifest) -> None:
    assert sync(manifest, settings=settings).ok
    before = rows(settings)
    assert sync(manifest, settings=settings).ok
    assert rows(settings) == before


def test_stopped_then_resumed(world: World, settings: Settings, manifest: Manifest) -> None:
    """`paused` with its bytes, then the same row goes on."""
    stop = threading.Event()

    def halfway(event: Event) -> None:
        if isinstance(event, Progressed) and event.downloaded > 1_000_000:
            stop.set()

    world.add("gateway1", Dribble(bytes_per_s=1_500_000), path=ONNX)
    with pytest.raises(StoppedError):
        sync(manifest, settings=settings, observer=halfway, stop=stop)
    [paused] = rows(settings)
    assert paused.status == "paused"
    assert 1_000_000 < paused.currentSize < 3_000_000
    seen: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, Progressed) and event.path.endswith("onnx"):
            seen.extend(row.status for row in rows(settings))

    assert sync(manifest, settings=settings, observer=look).ok
    assert seen[-1] == "resuming"
    assert set(seen) <= {"paused", "resuming"}  # what is written waits a moment for other things that are
    [done] = rows(settings)
    assert (done.id, done.status, done.started_at) == (paused.id, "success", paused.started_at)
    assert done.downloaded_bytes == pytest.approx(3_000_000, abs=1 << 20)  # what a stop had read and not told


def test_a_failure_has_its_reasons(world: World, settings: Settings, manifest: Manifest) -> None:
    """And the next download is a new row."""
    world.add("gateway1", Status(404))
    assert not sync(manifest, settings=only(settings, 1)).ok
    [row] = rows(settings)
    assert row.status == "failed"
    assert "404" in (row.error_message or "")
    world.clear()
    assert sync(manifest, settings=only(settings, 1)).ok
    assert [row.status for row in rows(settings)] == ["failed", "success"]


def test_a_cid_that_was_bad_is_counted(world: World, settings: Settings, manifest: Manifest) -> None:
    root = world.manifest()["tiny"]["ipfs"]["cid"]
    with State(settings.state_path, print) as state:
        state.cids.add(root, "tiny", "stt", now=1.0)
    world.add("gateway*", Corrupt())
    assert sync(manifest, settings=settings).ok
    [(cid, good, bad)] = cids(settings)
    assert (cid, good) == (root, 0)
    assert bad >= 4
    [large] = rows(settings)
    with State(settings.state_path, print) as state:
        assert state.db.execute("SELECT id FROM ipfs_cids") == [(large.cidId,)]


def test_a_corrupt_database_is_set_aside_said_and_filled_again(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """The CIDs come back from the manifest, the verified files from the disk."""
    assert sync(manifest, settings=settings).ok
    path = settings.state_path / "state.sqlite3"
    path.write_bytes(b"x" * path.stat().st_size)
    (settings.models_dir / LARGE).unlink()
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert all_right()
    assert any("set aside" in event.message for event in told if isinstance(event, Warned))
    assert list(settings.state_path.glob("*.corrupt-*"))
    assert len(cids(settings)) == 1
    assert [row.status for row in rows(settings)] == ["success"]


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_database_of_any_older_version_is_brought_forward(
    world: World, settings: Settings, manifest: Manifest, version: int
) -> None:
    """With what it held."""
    settings.state_path.mkdir(parents=True)
    with sqlite3.connect(settings.state_path / "state.sqlite3") as database:
        for script in MIGRATIONS[:version]:
            for statement in script:
                database.execute(statement)
        database.execute(f"PRAGMA user_version={version}")
        if version:
            database.execute(
                "INSERT INTO ipfs_cids (cid, modelName, modelType) VALUES ('bafkqaaa', 'other', 'other')"
            )
    database.close()
    assert sync(manifest, settings=settings).ok
    assert [row.status for row in rows(settings)] == ["success"]
    assert len(cids(settings)) == (2 if version else 1)


def write_many(folder: Any, number: int) -> None:
    with State(folder, print) as state:
        for turn in range(50):
            path = f"{number}/{turn}"
            state.downloads.begun(path, total=1, sha256=None, cid=None, now=float(turn))
            state.downloads.attempted(path, error=None, now=float(turn))
            state.downloads.succeeded(path, size=1, now=float(turn))


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, number)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    with State(tmp_path, print) as state:
        found = state.downloads.newest()
        assert len(found) == 400
        assert {(row.status, row.attempts) for row in found} == {("success", 1)}
        state.downloads.prune(25.0)
        assert len(state.downloads.newest()) == 200


def test_a_database_that_cannot_be_used_costs_the_rows(
    world: World, settings: Settings, manifest: Manifest, tmp_path: Path, all_right: Callable[[], bool]
) -> None:
    """P11."""
    (tmp_path / "no-folder").write_text("in the way")
    told: list[Event] = []
    elsewhere = replace(settings, state_dir=tmp_path / "no-folder")
    assert sync(manifest, settings=elsewhere, observer=told.append).ok
    assert all_right()
    assert any("cannot be used" in event.message for event in told if isinstance(event, Warned))


def test_junk_in_the_table_is_passed_over(tmp_path: Path) -> None:
    with State(tmp_path, print) as state:
        state.downloads.begun("good", total=1, sha256=None, cid=None, now=1.0)
        state.db.execute(
            "INSERT INTO ipfs_downloads (downloadPath, status, attempts) VALUES (x'00', 'paused', 'many')"
        )
        assert [row.downloadPath for row in state.downloads.newest()] == ["good"]
