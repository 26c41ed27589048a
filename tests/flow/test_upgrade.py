"""A newer version from the fake Hub: in force as a whole or not at all, whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, Refused, Status
from fakes.world import World
from fallback import (
    ConfigError,
    StoppedError,
    StorageError,
    UnavailableError,
    apply_upgrade,
    check_versions,
    find_upgrade,
    finish_upgrades,
    known_versions,
    load_manifest,
    sync,
)
from fallback.events import FileCompleted, RunStarted
from fallback.names import UPGRADES
from fallback.server.feed import Feed
from fallback.server.runs import Runs
from fallback.state import State
from fallback.waiting import Waiting
from tests.flow.pinned import OWN, PIN, TINY, in_force

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.repos import HubRepo
    from fallback import Settings
    from fallback.events import Event

OLD = {"config.json": 900, "model.onnx": 300_000, "same.onnx": 20_000, "gone.txt": 50}
CHANGES = {"config.json": 900, "model.onnx": 310_000, "new/added.json": 70, "gone.txt": None}
MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        "huggingface": TINY,
        "files": {path: {"size": size} for path, size in OLD.items()},
    },
    "own": OWN,
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=1) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    """The old version is in force, and all of it is here."""
    settings = in_force(world, tmp_path)
    assert sync(settings=settings).ok
    world.journal.clear()
    return settings


def here(settings: Settings) -> dict[str, str]:
    """Path and SHA-256 of what the model's folder holds, but for folders."""
    root = settings.models_dir / "org/tiny"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def promised(settings: Settings) -> dict[str, str]:
    """Path and SHA-256 by the manifest in force."""
    return {file.path: file.sha256 or "" for file in load_manifest(settings).model("tiny").files}


def new_files(repo: HubRepo) -> dict[str, str]:
    return {path: file.blob.sha256 for path, file in repo.files.items()}


def whole_and_offline(settings: Settings, world: World) -> bool:
    """Whether what is in force is all here, and no request is needed to know."""
    world.journal.clear()
    return sync(settings=settings).ok and not world.journal.entries() and here(settings) == promised(settings)


def test_the_difference_is_told_and_then_made(world: World, settings: Settings) -> None:
    """Added, removed, changed (in LFS or not); what stays keeps its CID and costs nothing; no gateway is asked."""
    pushed = world.push("org/tiny", CHANGES)
    before = load_manifest(settings).model("tiny")
    found = find_upgrade("tiny", settings=settings)
    assert found.commits == (PIN, pushed.commit)
    assert [(each.path, each.before, each.after) for each in found.changes] == [
        ("config.json", 900, 900),
        ("gone.txt", 50, None),
        ("model.onnx", 300_000, 310_000),
        ("new/added.json", None, 70),
    ]
    assert load_manifest(settings).model("tiny") == before, "asking changes nothing"
    assert apply_upgrade(found, settings=settings).ok
    assert here(settings) == promised(settings) == new_files(pushed), "and nothing else, no .bak either"
    after = load_manifest(settings).model("tiny")
    assert after.huggingface is not None
    assert (after.huggingface.revision, after.ipfs, after.type) == (pushed.commit, None, "stt")
    same = [[file for file in model.files if file.path == "same.onnx"] for model in (before, after)]
    assert same[0] == same[1]
    assert same[0][0].cid
    assert not world.journal.select(server="gateway*")
    assert not world.journal.select(path="*same.onnx")
    assert not (settings.models_dir / UPGRADES).exists()
    assert load_manifest(settings).model("own") is not None
    assert whole_and_offline(settings, world)


def test_it_is_current_then_without_another_question(world: World, settings: Settings) -> None:
    """What was asked is still known; the provenance of the new files, too."""
    world.push("org/tiny", CHANGES)
    assert check_versions(["tiny"], settings=settings)[0].state == "newer"
    apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings)
    version = known_versions(settings, pytest.fail, ["tiny"])[0]
    assert (str(version), version.differing) == ("current", ())
    with State(settings.state_path, pytest.fail) as state:
        row = state.verified.get("org/tiny/model.onnx")
        assert row is not None
        assert row.layer == "huggingface"
        assert not [path for path in state.verified.all() if UPGRADES in path]
    assert not find_upgrade("tiny", settings=settings).is_needed


def test_what_was_asked_before_there_was_a_newer_version_is_not_held_against_it(
    world: World, settings: Settings
) -> None:
    """The commit that was left is not called newer, the same day."""
    assert check_versions(["tiny"], settings=settings)[0].state == "current"
    pushed = world.push("org/tiny", CHANGES)
    apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings)
    version = known_versions(settings, pytest.fail, ["tiny"])[0]
    assert (str(version), version.found) == ("current", pushed.commit)


def test_at_every_instant_a_name_is_absent_or_right_by_the_manifest_in_force(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, looked at after each rename; and until the first of them every old file is in its place."""
    world.push("org/tiny", CHANGES)
    found = find_upgrade("tiny", settings=settings)
    old, looked = promised(settings), []

    def look() -> None:
        kept = {path: digest for path, digest in here(settings).items() if not path.endswith(".bak")}
        names = {path.name for path in settings.models_dir.rglob("*.bak")}
        looked.append(len(names))
        assert all(digest == promised(settings).get(path) for path, digest in kept.items()), kept
        assert names or kept == old or kept == promised(settings)

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, _then(getattr(Path, name), look))
    assert apply_upgrade(found, settings=settings).ok
    assert max(looked) == 3, "config.json, model.onnx and gone.txt were set aside meanwhile"
    assert len(looked) > 8


def _then(move: Callable[[Path, Path], Path], look: Callable[[], None]) -> Callable[[Path, Path], Path]:
    def moved(self: Path, target: Path) -> Path:
        result = move(self, target)
        look()
        return result

    return moved


def failing(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The disk fails at that rename of `switch`, counted from 0, and at no other."""
    count = [0]

    def rename(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moved(self: Path, target: Path) -> Path:
            inside = any(part in f"{self} {target}" for part in (".bak", ".manifests.json", f"{UPGRADES}/"))
            if inside and not self.name.endswith(".partial"):
                count[0] += 1
                if count[0] == at + 1:
                    raise OSError(5, "Input/output error")
            return move(self, target)

        return moved

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, rename(getattr(Path, name)))


@pytest.mark.parametrize("step", range(8))
def test_a_disk_that_fails_half_way_leaves_the_old_version_in_force(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At each of the renames of a switch: every one before it is undone; and a second attempt fetches nothing."""
    pushed = world.push("org/tiny", CHANGES)
    found, before = find_upgrade("tiny", settings=settings), here(settings)
    with monkeypatch.context() as broken:
        failing(broken, step)
        with pytest.raises(StorageError, match="Input/output error"):
            apply_upgrade(found, settings=settings)
    assert here(settings) == before == promised(settings)
    finish_upgrades(settings)
    assert whole_and_offline(settings, world)
    assert apply_upgrade(found, settings=settings).ok
    assert not world.journal.entries()
    assert here(settings) == new_files(pushed)


KILLED = """
import os, sys
from pathlib import Path
from fallback import Settings, apply_upgrade, find_upgrade
settings = Settings.load()
found, count = find_upgrade("tiny", settings=settings), 0
def dying(move):
    def moved(self, target):
        global count
        if any(part in f"{self} {target}" for part in (".bak", ".manifests.json", ".fallback/upgrade/")) and self.suffix != ".partial":
            count += 1
            if count > int(sys.argv[1]):
                os._exit(9)
        return move(self, target)
    return moved
Path.rename, Path.replace = dying(Path.rename), dying(Path.replace)
apply_upgrade(found, settings=settings)
"""


def environment(world: World, settings: Settings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    own = {"FALLBACK_MODELS_DIR": str(settings.models_dir), "FALLBACK_RESERVE_BYTES": "0"}
    return inherited | world.environment() | own | {"HOME": str(settings.models_dir.parent)}


def killed(world: World, settings: Settings, step: int) -> None:
    """An upgrade is, at that rename."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(step)], env=environment(world, settings), timeout=30, check=False
    )
    assert done.returncode == 9


@pytest.mark.parametrize("step", range(8))
def test_a_process_killed_half_way_is_finished_by_the_next_one_without_a_request(
    world: World, settings: Settings, step: int
) -> None:
    """At each of the renames: before the first the old version stays, after it the new one is made whole from what waits."""
    pushed, old = world.push("org/tiny", CHANGES), promised(settings)
    killed(world, settings, step)
    kept = {path: digest for path, digest in here(settings).items() if not path.endswith(".bak")}
    assert kept.items() <= promised(settings).items(), "P1"
    world.journal.clear()
    told: list[Event] = []
    finish_upgrades(settings, told.append)
    assert promised(settings) == (new_files(pushed) if step else old)
    assert bool(told) is bool(step)
    summary = sync(settings=dataclasses.replace(settings, offline=True))
    assert summary.ok
    assert not world.journal.entries()
    assert apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings).ok
    assert promised(settings).items() <= here(settings).items()


def test_a_folder_in_which_nothing_waits_any_more_goes(settings: Settings) -> None:
    """Its process was killed at the very end; one that holds a file, or that somebody is at, stays."""
    empty, full, held = (Waiting(settings.models_dir / UPGRADES / f"{name}-0") for name in "abc")
    for each in (empty, full, held):
        (each.files / "org").mkdir(parents=True)
    (full.files / "org" / "a.bin").write_bytes(b"waits")
    with held.locked(settings):
        finish_upgrades(settings)
    assert [each.folder.exists() for each in (empty, full, held)] == [False, True, True]
    finish_upgrades(settings)
    assert not held.folder.exists()


def test_a_run_of_a_server_that_had_begun_before_finishes_it_first(
    world: World, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed with the old files set aside and the old entry in force: neither version is fetched."""
    pushed, old = world.push("org/tiny", CHANGES), promised(settings)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        runs = Runs(settings, Feed(loop, limit=1), lambda _event: None)
        killed(world, settings, 4)
        assert promised(settings) == old
        world.journal.clear()
        run, _ = runs.start("sync")
        assert run.thread is not None
        run.thread.join(30)
    assert (run.status, run.error) == ("completed", None)
    assert not world.journal.entries()
    assert promised(settings) == new_files(pushed)
    assert promised(settings).items() <= here(settings).items()
    assert "is finished now" in capfd.readouterr().err


def test_a_source_that_sends_wrong_bytes_changes_nothing(world: World, settings: Settings) -> None:
    """The failure is told with its reason; what came right before waits for the next attempt."""
    pushed = world.push("org/tiny", CHANGES)
    found, before = find_upgrade("tiny", settings=settings), here(settings)
    world.add("cdn", Corrupt())
    summary = apply_upgrade(found, settings=settings)
    assert [failure.path for failure in summary.failures] == ["model.onnx"]
    assert "wrong bytes" in summary.failures[0].error
    assert here(settings) == before == promised(settings)
    assert whole_and_offline(settings, world)
    world.clear()
    assert apply_upgrade(found, settings=settings).ok
    assert not world.journal.select(path="*config.json")
    assert here(settings) == new_files(pushed)


def test_what_waits_of_an_earlier_version_goes_with_a_good_upgrade_alone(
    world: World, settings: Settings
) -> None:
    """One that fails leaves it, and so does one without the lock: another upgrade may be at it."""
    world.push("org/tiny", CHANGES)
    world.add("cdn", Corrupt())
    assert not apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings).ok
    [first] = (settings.models_dir / UPGRADES).iterdir()
    world.push("org/tiny", {"config.json": 901})
    found = find_upgrade("tiny", settings=settings)
    assert not apply_upgrade(found, settings=settings).ok
    assert list(first.rglob("config.json"))
    world.clear()
    with Waiting(first).locked(settings):
        assert apply_upgrade(found, settings=dataclasses.replace(settings, lock_timeout_s=0.05)).ok
    assert list(first.rglob("config.json"))
    world.push("org/tiny", {"config.json": 902})
    assert apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings).ok
    assert not first.exists()


def test_a_sync_that_began_before_takes_nothing_back(world: World, settings: Settings) -> None:
    """The file that it was to get is another one by now: it fails, and the new version stays whole."""
    pushed = world.push("org/tiny", CHANGES)
    found = find_upgrade("tiny", settings=settings)
    (settings.models_dir / "org/tiny/config.json").unlink()
    upgraded: list[bool] = []

    def tell(event: Event) -> None:
        if isinstance(event, RunStarted) and not upgraded:
            upgraded.append(True)
            upgraded.append(apply_upgrade(found, settings=settings).ok)

    summary = sync(settings=settings, observer=tell)
    assert upgraded == [True, True]
    assert "config.json" in {failure.path for failure in summary.failures}
    assert {failure.reasons[0][0] for failure in summary.failures} == {"the manifest"}
    assert here(settings) == new_files(pushed)


def test_one_that_is_stopped_goes_on_where_it_was(world: World, settings: Settings) -> None:
    """Stopped after its first file; the old version is whole; that file is not asked for again."""
    world.push("org/tiny", CHANGES)
    found, before, stop = find_upgrade("tiny", settings=settings), here(settings), threading.Event()
    one = dataclasses.replace(settings, jobs=1)
    had: list[str] = []

    def stopping(event: Event) -> None:
        if isinstance(event, FileCompleted):
            had.append(event.path)
            stop.set()

    with pytest.raises(StoppedError):
        apply_upgrade(found, settings=one, observer=stopping, stop=stop)
    assert here(settings) == before == promised(settings)
    assert whole_and_offline(settings, world)
    assert apply_upgrade(found, settings=settings).ok
    assert had == ["model.onnx"]
    assert not world.journal.select(path="*model.onnx")


def test_a_file_that_was_missing_or_wrong_is_had_with_the_new_version(
    world: World, settings: Settings
) -> None:
    """Of those that do not change: the new version is whole before it is in force."""
    pushed = world.push("org/tiny", {"config.json": 900})
    found = find_upgrade("tiny", settings=settings)
    (settings.models_dir / "org/tiny/gone.txt").unlink()
    (settings.models_dir / "org/tiny/same.onnx").write_bytes(b"rot")
    assert apply_upgrade(found, settings=settings).ok
    assert here(settings) == new_files(pushed)


def test_what_stays_is_read_and_not_fetched_when_nothing_is_known_of_it(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    """The state database was lost: hashing is what that costs, and no byte from anywhere."""
    pushed = world.push("org/tiny", {"config.json": 900})
    fresh = dataclasses.replace(settings, state_dir=tmp_path / "state")
    assert apply_upgrade(find_upgrade("tiny", settings=fresh), settings=fresh).ok
    assert here(fresh) == new_files(pushed)
    assert not world.journal.select(server="cdn")


def test_what_the_model_never_had_is_left_out_unless_it_is_asked_for(
    world: World, settings: Settings
) -> None:
    """A manifest of some of a repository's files stays one."""
    path = settings.models_dir / ".manifests.json"
    document = json.loads(path.read_text())
    del document["tiny"]["files"]["same.onnx"]
    path.write_text(json.dumps(document))
    world.push("org/tiny", CHANGES)
    found = find_upgrade("tiny", settings=settings)
    assert found.left_out == ("new/added.json",)
    assert "new/added.json" not in {file.path for file in found.new.files}
    more = find_upgrade("tiny", include=["new/*"], settings=settings)
    assert {file.path for file in more.new.files} == {"config.json", "model.onnx", "new/added.json"}


def test_what_was_published_before_is_no_way_to_the_new_files(world: World, settings: Settings) -> None:
    """The CID that the database knows is of the old version: no gateway is asked by it, and none is blamed."""
    cid = world.catalogue.models["tiny"].cid
    with State(settings.state_path, pytest.fail) as state:
        state.cids.add(cid, "tiny", "stt", now=1.0)
    world.push("org/tiny", CHANGES)
    assert apply_upgrade(find_upgrade("tiny", settings=settings), settings=settings).ok
    (settings.models_dir / "org/tiny/model.onnx").unlink()
    assert sync(settings=settings).ok
    assert not world.journal.select(server="gateway*")


def test_a_model_that_follows_its_branch_gets_pinned(world: World, settings: Settings) -> None:
    """Without a file to fetch if all are the same; what was published stays."""
    path = settings.models_dir / ".manifests.json"
    document = json.loads(path.read_text())
    document["tiny"]["huggingface"]["revision"] = "main"
    path.write_text(json.dumps(document))
    found = find_upgrade("tiny", settings=settings)
    assert (found.commits, found.changes, found.is_needed) == (("main", PIN), (), True)
    assert apply_upgrade(found, settings=settings).ok
    assert load_manifest(settings).model("tiny").ipfs is not None
    assert not world.journal.select(server="cdn")


def test_a_manifest_changed_meanwhile_is_not_overwritten(world: World, settings: Settings) -> None:
    world.push("org/tiny", CHANGES)
    found = find_upgrade("tiny", settings=settings)
    path = settings.models_dir / ".manifests.json"
    document = json.loads(path.read_text())
    document["tiny"]["type"] = "other"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="changed meanwhile"):
        apply_upgrade(found, settings=settings)
    assert json.loads(path.read_text()) == document


def test_what_cannot_be_upgraded_says_why(world: World, settings: Settings, tmp_path: Path) -> None:
    """No repository; another manifest in force; a Hub that is down; nothing left of it."""
    with pytest.raises(ConfigError, match="model own names no repository"):
        find_upgrade("own", settings=settings)
    other = dataclasses.replace(settings, manifest=tmp_path / "models/other.json")
    with pytest.raises(ConfigError, match="the setting manifest names"):
        find_upgrade("tiny", settings=other)
    world.add("hub", Refused())
    with pytest.raises(UnavailableError, match="revision main of org/tiny"):
        find_upgrade("tiny", settings=settings)
    world.clear()
    world.push("org/tiny", dict.fromkeys(OLD))
    fresh = dataclasses.replace(settings, state_dir=tmp_path / "state")  # who knows nothing of an outage
    with pytest.raises(ConfigError, match="none of its files is there"):
        find_upgrade("tiny", settings=fresh)


def test_a_gated_repository_is_told_by_its_name(world: World, settings: Settings, tmp_path: Path) -> None:
    with World(MODELS, size="full", gated=["org/tiny"], gateways=1) as gated:
        gated.push("org/tiny", CHANGES)
        there = dataclasses.replace(settings, hf_endpoint=gated.hub, state_dir=tmp_path / "state")
        with pytest.raises(UnavailableError, match="org/tiny is gated"):
            find_upgrade("tiny", settings=there)
    assert here(settings) == promised(settings)
    assert not world.journal.entries()


def shell(world: World, settings: Settings, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fallback", *args],
        env=environment(world, settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_nobody_to_ask_is_exit_2_and_no_request(world: World, settings: Settings) -> None:
    done = shell(world, settings, "upgrade", "tiny")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody is there to be asked: say --yes" in done.stderr
    assert not world.journal.entries()


def test_the_command_line_from_newer_to_current(world: World, settings: Settings) -> None:
    """revalidate, upgrade --dry-run, upgrade --yes, status: what each says."""
    pushed = world.push("org/tiny", CHANGES)
    done = shell(world, settings, "revalidate")
    assert done.returncode == 0, done.stderr
    assert f"tiny: newer (commit {pushed.commit}); 3 file(s) differ\n" in done.stdout
    assert "own: untracked: its manifest names no repository on HuggingFace\n" in done.stdout
    done = shell(world, settings, "upgrade", "tiny", "--dry-run")
    assert done.stdout.splitlines() == [
        f"tiny: {PIN} -> {pushed.commit}",
        "  changed  config.json  900 -> 900 bytes",
        "  removed  gone.txt  50 bytes",
        "  changed  model.onnx  300,000 -> 310,000 bytes",
        "  added    new/added.json  70 bytes",
        "  1 file(s) unchanged; 310,970 bytes to have",
    ]
    assert shell(world, settings, "upgrade", "tiny", "--yes").returncode == 0
    assert "tiny: current\n" in shell(world, settings, "status").stdout
    assert (
        shell(world, settings, "upgrade", "tiny", "--yes").stdout
        == f"tiny is current (commit {pushed.commit})\n"
    )
    world.push("org/tiny", {"config.json": 901})
    world.add("hub", Status(403), path="*/resolve/*config.json")
    failed = shell(world, settings, "upgrade", "tiny", "--yes")
    assert failed.returncode == 1


@pytest.mark.parametrize(("answer", "is_upgraded"), [("y", True), ("n", False)])
def test_a_person_is_asked(world: World, settings: Settings, answer: str, *, is_upgraded: bool) -> None:
    """With the difference before them; no is no, and no failure."""
    pushed = world.push("org/tiny", CHANGES)
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fallback", "upgrade", "tiny"],
            env=environment(world, settings),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "removed  gone.txt" in done.stdout
    assert "upgrade? [y/N]" in done.stderr
    assert (promised(settings) == new_files(pushed)) is is_upgraded
    assert ("nothing was changed" in done.stderr) is not is_upgraded
