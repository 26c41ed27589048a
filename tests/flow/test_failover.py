"""The engine against the fakes over real sockets: what one good source can serve is served."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import fault_from_dict as from_json
from fallback import Settings, StoppedError, StorageError, sync
from fallback.events import AttemptEnded, AttemptStarted, Quarantined

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest
    from fallback.events import Event


def names_on_disk(settings: Settings) -> set[str]:
    """Final names: neither partials nor our own files."""
    root = settings.models_dir
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if not path.name.startswith(".") and not path.parts[0].startswith(".")
    }


def test_cold_then_warm(world: World, settings: Settings, manifest: Manifest) -> None:
    """Cold: all from the first gateway. Warm: no request at all (P9)."""
    first = sync(manifest, settings=settings)
    assert {file.layer for file in first.files} == {"ipfs"}
    assert len(world.journal.select(server="gateway1")) == 2
    world.journal.clear()
    second = sync(manifest, settings=settings)
    assert second.ok
    assert {file.layer for file in second.files} == {"cache"}
    assert not world.journal.entries()


FAULTS: list[dict[str, Any]] = [
    {"name": "status", "status": 404},
    {"name": "status", "status": 500},
    {"name": "status", "status": 503},
    {"name": "status", "status": 429},
    {"name": "status", "status": 403},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.get("status", fault["name"])))
def test_a_failing_gateway_is_passed_over(
    world: World, settings: Settings, fault: dict[str, Any], manifest: Manifest
) -> None:
    """P5: one good source is enough."""
    world.add("gateway1", from_json(fault))
    summary = sync(manifest, settings=settings)
    assert summary.ok
    assert {file.source for file in summary.files} == {world.gateways[1].removeprefix("http://")}


@pytest.mark.fault(110)
def test_corrupt_gateway_is_banned_also_in_the_next_run(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    world.add("gateway1", from_json({"name": "corrupt"}))
    assert sync(manifest, settings=settings).ok
    assert len(world.journal.select(server="gateway1")) == 2
    for name in names_on_disk(settings):
        (settings.models_dir / name).unlink()
    world.journal.clear()
    assert sync(manifest, settings=settings).ok
    assert not world.journal.select(server="gateway1")


def test_everything_down_names_each_source(world: World, settings: Settings, manifest: Manifest) -> None:
    world.add("*", from_json({"name": "status", "status": 404}))
    summary = sync(manifest, settings=settings)
    assert not summary.files
    for failure in summary.failures:
        assert {source for source, _ in failure.reasons} == {
            url.removeprefix("http://") for url in (*world.gateways, world.hub)
        }
    assert not names_on_disk(settings)


def test_what_is_not_the_file_is_set_aside_and_fetched_again(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    sync(manifest, settings=settings)
    path = settings.models_dir / "org/tiny/config.json"
    good = path.read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert path.read_bytes() == good
    assert [event.kept for event in told if isinstance(event, Quarantined)] == ["config.json.bak"]


def test_an_interrupted_file_is_resumed_by_range(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """No byte that has come is asked for again, and the next source may go on where another stopped."""
    world.add("gateway1", from_json({"name": "truncate", "offset": 2_000_000}), path="*.onnx", first=1)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    offsets = [
        event.offset for event in told if isinstance(event, AttemptStarted) and event.path.endswith("onnx")
    ]
    assert offsets == [0, 2_000_000]


def test_deadline_holds_when_every_source_hangs(world: World, settings: Settings, manifest: Manifest) -> None:
    """P4: wall time <= deadline + 1 s."""
    world.add("*", from_json({"name": "hang"}))
    began = time.monotonic()
    summary = sync(manifest, settings=Settings(**{**_fields(settings), "deadline_s": 1.0, "timeout_s": 30}))
    assert not summary.files
    assert time.monotonic() - began < 1 + 1


def test_stop_ends_a_hanging_run(world: World, settings: Settings, manifest: Manifest) -> None:
    world.add("*", from_json({"name": "hang"}))
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(StoppedError):
        sync(manifest, settings=Settings(**{**_fields(settings), "timeout_s": 30}), stop=stop)


def test_a_failing_observer_never_fails_a_sync(world: World, settings: Settings, manifest: Manifest) -> None:
    """P11."""

    def bad(event: Event) -> None:
        raise RuntimeError(event.kind)

    assert sync(manifest, settings=settings, observer=bad).ok


def test_no_room_is_said_before_a_request(world: World, settings: Settings, manifest: Manifest) -> None:
    with pytest.raises(StorageError, match="bytes must be freed"):
        sync(manifest, settings=Settings(**{**_fields(settings), "reserve_bytes": 1 << 60}))
    assert not world.journal.entries()


def test_a_folder_in_the_place_of_a_file_is_refused(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    (settings.models_dir / "org/tiny/config.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="move it away"):
        sync(manifest, settings=settings)
    assert (settings.models_dir / "org/tiny/onnx/model.onnx").stat().st_size == 3_000_000


def test_a_link_out_of_the_folder_is_refused_and_nothing_there_is_renamed(
    world: World, settings: Settings, tmp_path: Path, manifest: Manifest
) -> None:
    """P8."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/config.json").write_bytes(b"mine")
    (settings.models_dir / "org").mkdir(parents=True)
    (settings.models_dir / "org/tiny").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="leads out"):
        sync(manifest, settings=settings)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["config.json"]


def test_only_what_we_set_aside_is_ever_deleted(world: World, settings: Settings, manifest: Manifest) -> None:
    sync(manifest, settings=settings)
    own, others = settings.models_dir / "org/tiny/config.json.bak", settings.models_dir / "notes.txt.bak"
    own.write_bytes(b"x")
    others.write_bytes(b"x")
    sync(manifest, settings=Settings(**{**_fields(settings), "bak_days": 0}))
    assert not own.exists()
    assert others.exists()


def test_final_names_are_absent_or_right_at_every_instant(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """P1, sampled while a corrupt gateway, a cut and a good one serve."""
    world.add("gateway1", from_json({"name": "corrupt"}))
    right = {f"org/tiny/{path}": file["size"] for path, file in world.manifest()["tiny"]["files"].items()}
    wrong: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for name, size in right.items():
                path = settings.models_dir / name
                if path.exists() and path.stat().st_size != size:
                    wrong.append(name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    told: list[Event] = []
    try:
        assert sync(manifest, settings=settings, observer=told.append).ok
    finally:
        over.set()
        watcher.join()
    assert not wrong
    assert any(isinstance(event, AttemptEnded) and event.outcome == "corrupt" for event in told)


def _fields(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name != "origins"}
