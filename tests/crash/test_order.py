"""The order that survives a power cut, as the kernel saw it: bytes, name, folder, row (P1, P2)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.crash.recording import Recording
from tests.crash.scenarios import SCENARIOS
from tests.crash.stage import LARGE

if TYPE_CHECKING:
    from tests.crash.operations import Operation
    from tests.crash.stage import Stage

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(300)]


def steps(recording: Recording, path: str) -> list[int]:
    """When the file that got this name was written to last, synced, and named, and when its folder was synced."""
    done = recording.operations
    named = next(at for at, each in enumerate(done) if (each.kind, each.to) == ("rename", path))
    inode = done[named].inode

    def at(kind: str, number: int) -> list[int]:
        return [place for place, each in enumerate(done) if (each.kind, each.inode) == (kind, number)]

    synced = [place for place in at("sync", inode) if place < named]
    folder_synced = [place for place in at("sync", folder(recording, os.path.dirname(path))) if place > named]  # noqa: PTH120
    assert synced, "its bytes are not synced before it gets its name"
    assert folder_synced, "its folder is not synced after it got its name"
    return [max(at("write", inode)), synced[-1], named, folder_synced[0]]


def folder(recording: Recording, path: str) -> int:
    made = {each.path: each.inode for each in recording.operations if each.kind == "mkdir"}
    return (recording.before.names | made)[path]


def row(operations: tuple[Operation, ...], inode: int, sha256: str) -> int:
    """When the row that vouches for a file of that inode was written first: two texts that stand side by side in it."""
    mark = f"{inode}{sha256}".encode()
    return next(at for at, each in enumerate(operations) if each.path.endswith("-wal") and mark in each.data)


@pytest.mark.fault(99)
@pytest.mark.parametrize("name", ["fresh", "cut", "repair", "update"])
def test_bytes_then_name_then_folder_then_row(stage: Stage, name: str) -> None:
    recording = Recording.of(SCENARIOS[name](stage))
    files = {"repair": [LARGE], "update": [LARGE, "tts/voice.bin"]}.get(name, list(stage.contents))
    sha256 = {stage.manifest.model(m.name).target(f): f.sha256 for m, f in stage.manifest.files()}
    for each in files:
        target = stage.models_dir / each
        order = steps(recording, str(target))
        order.append(row(recording.operations, target.stat().st_ino, sha256[each] or ""))
        assert order == sorted(order), f"{each}: written, synced, named, folder synced, row: {order}"


@pytest.mark.parametrize("name", ["add", "publish", "car"])
def test_small_files_and_packages_too(stage: Stage, name: str) -> None:
    """The manifest, a CAR; no disk is waited for, for the metrics copy."""
    recording = Recording.of(SCENARIOS[name](stage))
    path = {"car": "cars/m.car"}.get(name, "models/.manifests.json")
    order = steps(recording, str(stage.folder / path))
    assert order == sorted(order)


def test_a_new_folder_s_own_name_lasts_before_what_is_in_it_is_vouched_for(stage: Stage) -> None:
    """Each folder on the way, up to one that was there."""
    recording = Recording.of(SCENARIOS["fresh"](stage))
    done = recording.operations
    named = next(at for at, each in enumerate(done) if each.to.endswith("model.onnx"))
    for path in ("models", "models/org", "models/org/tiny", "models/org/tiny/onnx"):
        above = folder(recording, str((stage.folder / path).parent))
        made = next(
            at
            for at, each in enumerate(done)
            if (each.kind, each.path) == ("mkdir", str(stage.folder / path))
        )
        assert any((each.kind, each.inode) == ("sync", above) for each in done[made:named]), path
