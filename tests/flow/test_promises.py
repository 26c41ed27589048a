"""Small promises of a whole run that no fault of one source shows."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import RangeIgnored, StaleKeepAlive, Truncate
from fallback import UnavailableError, fetch, sync
from fallback.engine import METRICS_COPY
from fallback.events import AttemptStarted, FileCompleted, Warned
from fallback.manifest import Manifest
from fallback.state import FILE_NAME, State, later
from fallback.state.attempts import Record
from tests.flow.told import ONNX, only, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.world import World
    from fallback import Settings
    from fallback.events import Event


def test_bytes_that_were_here_before_are_no_progress(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """A source that begins at zero each time and breaks off at the same place is not asked for ever."""
    world.add("gateway1", RangeIgnored(), path=ONNX)
    world.add("gateway1", Truncate(offset=1_500_000), path=ONNX)
    told: list[Event] = []
    summary = sync(manifest, settings=replace(only(settings, 1), deadline_s=20), observer=told.append)
    assert not summary.ok
    # One attempt is given back, for the first 1.5 MB.
    assert outcomes(told).count("interrupted") == settings.gateway_attempts + 1


def test_a_file_whose_size_nobody_told_is_read_up_to_a_cap(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    """P3; `fallback get` of a URL may lead to a stream without end. As large as the cap is not too large."""
    [large] = [file for file in world.manifest()["tiny"]["files"].values() if file["size"] == 3_000_000]
    url = f"{world.gateways[0]}/ipfs/{large['cid']}"
    capped = replace(settings, max_unsized_bytes=2_999_999)
    with pytest.raises(UnavailableError, match=r"larger than max_unsized_bytes \(2999999\)"):
        fetch([url], tmp_path / "x", sha256=large["sha256"], settings=capped)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("x")] == []
    enough = replace(settings, max_unsized_bytes=3_000_000)
    assert fetch([url], tmp_path / "x", sha256=large["sha256"], settings=enough).size == 3_000_000


def test_the_largest_file_is_first(world: World, settings: Settings, manifest: Manifest) -> None:
    """So that the end of a run does not wait for it."""
    told: list[Event] = []
    assert sync(manifest, settings=replace(settings, jobs=1), observer=told.append).ok
    assert [event.path for event in told if isinstance(event, AttemptStarted)] == [
        "onnx/model.onnx",
        "config.json",
    ]


def test_a_connection_that_was_closed_meanwhile_is_no_attempt(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """Fault 8: the second file meets a kept connection that the server has closed."""
    world.add("gateway1", StaleKeepAlive(), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=replace(only(settings, 1), jobs=1), observer=told.append).ok
    assert [event.attempt for event in told if isinstance(event, AttemptStarted)] == [1, 1]


def test_a_model_s_newest_cid_of_the_database_names_its_files(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """It was published from here, and its manifest does not say so."""
    [model] = manifest.models
    assert model.ipfs is not None
    with State(settings.state_path, pytest.fail) as state:
        state.cids.add("bafyolder", model.name, model.type, now=1.0)
        state.cids.add(model.ipfs.cid, model.name, model.type, now=2.0)
    bare = Manifest((replace(model, ipfs=None),), name=manifest.name)
    assert sync(bare, settings=only(settings, 1)).ok
    assert all_right()
    assert {entry.status for entry in world.journal.select(server="gateway1")} == {200}


def test_records_older_than_the_retention_go_with_the_next_sync(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    old = Record(1.0, "tiny", "stt", "old.onnx", "ipfs", "dweb.link", "success", 12.5, 7, 7)
    with State(settings.state_path, pytest.fail) as state:
        state.attempts.add(old)
    assert sync(manifest, settings=settings).ok
    with State(settings.state_path, pytest.fail) as state:
        assert [record.timestamp > 1 for record in state.attempts.since(0)] == [True, True]


def test_the_state_forgets_what_is_gone(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """A manifest that changes for years must not leave a row for every file there ever was."""
    assert sync(manifest, settings=settings).ok
    with State(settings.state_path, pytest.fail) as state:
        row = state.verified.get("org/tiny/config.json")
        assert row is not None
        state.verified.put("org/tiny/gone.onnx", row)
        state.verified.put("a\0b", row)
        state.chunks.put("0" * 64, ["1" * 64])
        kept = state.db.execute("SELECT sha256 FROM chunks WHERE sha256 <> ?", ("0" * 64,))
    assert sync(manifest, settings=settings).ok
    with State(settings.state_path, pytest.fail) as state:
        assert sorted(state.verified.all()) == ["org/tiny/config.json", "org/tiny/onnx/model.onnx"]
        assert state.db.execute("SELECT sha256 FROM chunks") == kept
        assert len(kept) == 1
    assert all_right()


@pytest.fixture
def holding(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Another process's connection to the state, in a write that it does not end; it is hardly waited for."""
    monkeypatch.setattr("fallback.state.db.BUSY_S", 0.05)
    with State(settings.state_path, pytest.fail) as state:
        state.verified.all()
    other = sqlite3.connect(settings.state_path / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def test_what_another_process_kept_from_being_written_is_written_after_it(
    world: World,
    settings: Settings,
    manifest: Manifest,
    holding: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P11: the sync goes on meanwhile, and nothing of it is lost; its copy of the metrics has all, too."""
    monkeypatch.setattr(later, "GROUP_S", 3600.0)
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        if isinstance(event, FileCompleted) and holding.in_transaction:
            holding.execute("ROLLBACK")

    assert sync(manifest, settings=settings, observer=observer).ok
    assert not any(isinstance(event, Warned) for event in told)
    copy = json.loads((settings.models_dir / METRICS_COPY).read_text())
    assert [record["status"] for record in copy] == ["success", "success"]
    with State(settings.state_path, pytest.fail) as state:
        assert sorted(state.verified.all()) == ["org/tiny/config.json", "org/tiny/onnx/model.onnx"]
        assert [record.status for record in state.attempts.since(0)] == ["success", "success"]
        assert [download.status for download in state.downloads.newest()] == ["success", "success"]


def test_a_state_that_another_process_holds_to_the_end_is_said(
    world: World,
    settings: Settings,
    manifest: Manifest,
    holding: sqlite3.Connection,
    all_right: Callable[[], bool],
) -> None:
    """P11: once; the files are here."""
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert all_right()
    assert holding.in_transaction
    [warned] = [event.message for event in told if isinstance(event, Warned)]
    assert "another process does not let go of it" in warned
