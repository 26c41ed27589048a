"""`verify` finds whatever is wrong on disk, also where a row vouches for it; `--repair` fetches exactly that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fallback import StorageError, check_files, sync
from fallback.events import Quarantined
from fallback.state.db import Database
from fallback.state.verified import Row, Verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.rename(path)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("kept")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[Callable[[Path], None], str] = {
    flip: "sha256",
    truncate: "bytes where",
    replace_: "sha256",
    link: "a symbolic link",
    folder: "a folder",
    pipe: "a pipe",
}


@pytest.fixture(name="synced")
def _synced(world: World, settings: Settings, manifest: Manifest) -> Settings:
    settings.models_dir.mkdir()
    (settings.models_dir / ".manifests.json").write_text(manifest.to_json())
    assert sync(settings=settings).ok
    world.journal.clear()
    return settings


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_wrong_is_named_set_aside_and_fetched(
    world: World, synced: Settings, all_right: Callable[[], bool], damage: Callable[[Path], None]
) -> None:
    """Only the damaged file is requested, and what stood there is kept as .bak."""
    damage(synced.models_dir / "org/tiny/config.json")
    states = {each.path: (each.state, each.reason) for each in check_files(synced)}
    assert states["config.json"][0] == "wrong"
    assert DAMAGES[damage] in states["config.json"][1]
    assert states["onnx/model.onnx"] == ("right", "")
    assert not world.journal.entries()
    told: list[Event] = []
    assert sync(settings=synced, observer=told.append, rehash=True).ok
    assert [event.kept for event in told if isinstance(event, Quarantined)] == ["config.json.bak"]
    assert os.path.lexists(synced.models_dir / "org/tiny/config.json.bak")
    assert {Path(entry.path).name for entry in world.journal.entries()} == {"config.json"}
    assert all_right()
    assert {each.state for each in check_files(synced)} == {"right"}


def test_a_missing_file_is_named_and_fetched(
    world: World, synced: Settings, all_right: Callable[[], bool]
) -> None:
    (synced.models_dir / "org/tiny/config.json").unlink()
    assert [each.state for each in check_files(synced)] == ["missing", "right"]
    assert sync(settings=synced, rehash=True).ok
    assert all_right()


def test_a_row_that_lies_is_found_out_and_healed(
    world: World, synced: Settings, all_right: Callable[[], bool]
) -> None:
    """Bit rot changes no time stamp: sync trusts the row, verify reads the bytes and withdraws it."""
    path = synced.models_dir / "org/tiny/config.json"
    flip(path)
    about = path.stat()
    database = Database(synced.state_path / "state.sqlite3", print)
    rows = Verified(database)
    row = rows.get("org/tiny/config.json")
    assert row is not None
    rows.put(
        "org/tiny/config.json",
        Row(about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, row.sha256, 0.0, "ipfs", ""),
    )
    database.close()
    assert {file.layer for file in sync(settings=synced).files} == {"cache"}
    assert [each.state for each in check_files(synced)] == ["wrong", "right"]
    assert sync(settings=synced).ok
    assert all_right()


def test_sync_alone_moves_no_folder_away(synced: Settings) -> None:
    """Only a repair sets aside what is no file: whoever made a folder there meant something by it."""
    folder(synced.models_dir / "org/tiny/config.json")
    with pytest.raises(StorageError, match="--repair"):
        sync(settings=synced)
    assert (synced.models_dir / "org/tiny/config.json/mine").read_text() == "kept"


def test_verify_changes_nothing(world: World, synced: Settings) -> None:
    flip(synced.models_dir / "org/tiny/config.json")
    before = sorted(path.name for path in (synced.models_dir / "org/tiny").iterdir())
    check_files(synced)
    assert sorted(path.name for path in (synced.models_dir / "org/tiny").iterdir()) == before
    assert not world.journal.entries()
