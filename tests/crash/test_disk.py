"""What this machine's disk does wrong is nobody else's fault: exit 3, and the file that was there stays there.

Each fault is the kernel's own answer, given to the real command line by strace, by a limit, or by what stands in
a file's place. `test_mounts` has those of a file system.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fallback.names import BAK
from fallback.state import State
from tests.crash import folder, strace
from tests.crash.stage import LARGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crash.stage import Done, Stage

pytestmark = pytest.mark.timeout(300)
OLD = b"an older version"
FREE = "free space on its disk"


def nobody_is_blamed(stage: Stage) -> None:
    """No source has a failure to its name, in health or in metrics, and nobody was asked twice for a file."""
    with State(stage.settings.state_path, lambda _: None) as state:
        assert not state.health.load()
        assert not [each for each in state.attempts.since(0) if each.gateway and each.status != "success"]
    asked = [entry.path for entry in stage.world.journal.entries()]
    assert len(asked) == len(set(asked)), asked


def failed(stage: Stage, done: Done, message: str) -> None:
    """Exit 3, what was wrong and what to do, and nobody else's fault."""
    assert done.code == 3, done.err
    assert message in done.err
    assert not list(folder.after_a_kill(stage, {LARGE: (OLD,)}))
    nobody_is_blamed(stage)


def recovers(stage: Stage) -> None:
    """Once the disk is well again, the next run is."""
    done = stage.run("sync", environment={"FALLBACK_PARTIAL_IDLE_S": "0"})
    assert done.code == 0, done.err
    assert not list(folder.after_the_next(stage, {LARGE: (OLD,)}))


BODY = "4+"
"""Of the writes of a worker: the ledger's lines come first. With --quiet, no other thread writes as often."""


@pytest.mark.needs("strace")
@pytest.mark.fault(89, 90, 91, 92, 93)
@pytest.mark.parametrize(
    ("calls", "error", "when", "message"),
    [
        pytest.param("write", "ENOSPC", BODY, FREE, id="full-at-the-start"),
        pytest.param("write", "ENOSPC", "6+", FREE, id="full-in-the-middle"),
        pytest.param("write", "EDQUOT", "5+", "quota is used up", id="quota"),
        pytest.param("write", "EIO", "5+", "check the disk", id="write-fails"),
        pytest.param("fsync", "EIO", "1+", "check the disk", id="fsync-fails"),
        pytest.param("fsync", "ENOSPC", "1+", FREE, id="full-at-commit"),
        pytest.param(strace.RENAMES, "EXDEV", "1+", "not one file system", id="rename"),
        pytest.param(strace.RENAMES, "ENOSPC", "1+", FREE, id="full-at-rename"),
    ],
)
def test_a_disk_that_fails_while_a_file_is_fetched(
    stage: Stage, calls: str, error: str, when: str, message: str
) -> None:
    done = stage.run("sync", "tiny", "--quiet", through=strace.failing(calls, error, when))
    failed(stage, done, message)
    recovers(stage)


@pytest.mark.needs("strace")
@pytest.mark.fault(90)
def test_the_old_file_is_kept_while_the_disk_is_full(stage: Stage) -> None:
    """What stood under the name is set aside, never deleted: nothing is lost for want of space."""
    stage.put(LARGE, OLD)
    full = strace.failing("write", "ENOSPC", BODY)
    failed(stage, stage.run("sync", "tiny", "--quiet", through=full), FREE)
    kept = (stage.models_dir / LARGE).with_name("model.onnx" + BAK)
    assert kept.read_bytes() == OLD
    recovers(stage)


@pytest.mark.needs("strace")
@pytest.mark.fault(91)
def test_a_file_that_cannot_be_read_is_not_fetched_over(stage: Stage) -> None:
    """EIO while a file that is here is hashed: it may be right, and is left where it is."""
    target = stage.put(LARGE, stage.contents[LARGE])
    done = stage.run("sync", "tiny", through=strace.failing("read", "EIO", path=target))
    failed(stage, done, "check the disk")
    assert target.read_bytes() == stage.contents[LARGE]
    assert not stage.world.journal.select(path="*.onnx")


@pytest.mark.needs("strace")
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("file", ["state.sqlite3", "state.sqlite3-wal"])
def test_a_state_database_that_cannot_be_written_fails_nothing(stage: Stage, file: str, error: str) -> None:
    """P11: it is said once, and every file is right."""
    path = stage.state.with_name(file)
    done = stage.run("sync", through=strace.failing("pwrite64,ftruncate,fsync,fdatasync", error, path=path))
    assert done.code == 0, done.err
    assert done.err.count("cannot be used") == 1
    nobody_is_blamed(stage)
    recovers(stage)


@pytest.mark.needs("strace")
def test_a_metrics_copy_that_cannot_be_written_fails_nothing(stage: Stage) -> None:
    """P11: the old copy stands, and nothing is left beside it."""
    assert stage.run("sync").code == 0
    copy = stage.models_dir / ".metrics.json"
    before = copy.read_bytes()
    # Of a run that has nothing to fetch, this is the only file that gets a name.
    done = stage.run("sync", through=strace.failing(strace.RENAMES, "ENOSPC"))
    assert (done.code, copy.read_bytes()) == (0, before)
    assert "the metrics copy was not written" in done.err
    recovers(stage)


@pytest.mark.fault(90)
def test_a_limit_of_file_size(stage: Stage) -> None:
    """RLIMIT_FSIZE: the system says EFBIG, and would end the process by a signal if it were let to."""
    limit = ("sh", "-c", 'ulimit -f 512 && exec "$@"', "sh")
    failed(stage, stage.run("sync", "tiny", through=limit), "ulimit -f")
    assert [len(held) for held in folder.partials(stage, LARGE)] == [512 * 512]
    stage.world.journal.clear()
    recovers(stage)
    assert stage.world.journal.select(path="*.onnx")[0].range == f"bytes={512 * 512}-"


def test_no_room_is_seen_before_the_network_is(stage: Stage) -> None:
    """The message says how much is to be freed; nothing is made that would have to be cleared away."""
    reserve = {"FALLBACK_RESERVE_BYTES": str(1 << 60)}
    done = stage.run("sync", environment=reserve)
    failed(stage, done, "bytes must be freed")
    assert not stage.world.journal.entries()
    assert not list(stage.models_dir.rglob("*.partial"))


def make_folder(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")


def make_pipe(target: Path) -> None:
    target.parent.mkdir(parents=True)
    os.mkfifo(target)


def make_device(target: Path) -> None:
    target.parent.mkdir(parents=True)
    try:
        os.mknod(target, 0o666 | 0o020000, os.makedev(1, 7))  # /dev/full
    except PermissionError:
        pytest.skip("only root makes devices")


def make_link(target: Path) -> None:
    target.parent.mkdir(parents=True)
    (target.parents[4] / "elsewhere").write_bytes(OLD)
    target.symlink_to(target.parents[4] / "elsewhere")


@pytest.mark.fault(95)
@pytest.mark.parametrize("make", [make_folder, make_pipe, make_device])
def test_what_is_no_file_is_not_touched_by_sync_and_set_aside_by_repair(
    stage: Stage, make: Callable[[Path], None]
) -> None:
    target = stage.models_dir / LARGE
    make(target)
    before = target.lstat()
    done = stage.run("sync", "tiny")
    assert (done.code, target.lstat().st_ino) == (3, before.st_ino)
    assert "this is not a file; move it away" in done.err
    nobody_is_blamed(stage)
    assert stage.run("verify", "--repair").code == 0
    assert target.read_bytes() == stage.contents[LARGE]
    assert target.with_name("model.onnx" + BAK).lstat().st_ino == before.st_ino


@pytest.mark.fault(95, 96)
def test_a_link_in_the_place_of_a_file_is_set_aside_and_not_followed(stage: Stage) -> None:
    target = stage.models_dir / LARGE
    make_link(target)
    assert stage.run("sync").code == 0
    assert (target.is_symlink(), target.read_bytes()) == (False, stage.contents[LARGE])
    assert (stage.folder / "elsewhere").read_bytes() == OLD


@pytest.mark.parametrize("name", [".manifests.json", ".metrics.json", ".fallback/state.sqlite3", ".fallback"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_in_the_place_of_our_own(stage: Stage, name: str, kind: str) -> None:
    """No run hangs at a pipe that nobody writes to; what only helps is done without, and a manifest is refused."""
    target = stage.models_dir / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir() if kind == "folder" else os.mkfifo(target)
    done = stage.run("sync", environment={"FALLBACK_MANIFEST": ""} if "manifests" in name else {})
    if "manifests" in name:
        assert done.code == 2
        assert str(target) in done.err
        assert not stage.world.journal.entries()
    else:
        assert done.code == 0, done.err
        nobody_is_blamed(stage)


@pytest.mark.fault(94)
def test_a_name_that_is_too_long(stage: Stage) -> None:
    """Of the models folder, as deep as the system can go: nothing is requested."""
    deep = "/".join([str(stage.folder), *["d" * 250] * 17])
    done = stage.run("sync", environment={"FALLBACK_MODELS_DIR": deep})
    assert done.code == 3, done.err
    assert "shorter path" in done.err
    assert not stage.world.journal.entries()


@pytest.mark.parametrize("name", ["models", "models/org"])
def test_links_in_a_ring(stage: Stage, name: str) -> None:
    """In the place of the models folder, or of one in it."""
    if name != "models":
        stage.models_dir.mkdir()
    (stage.folder / name).symlink_to("ring")
    (stage.folder / name).with_name("ring").symlink_to(name.rpartition("/")[2])
    done = stage.run("sync", "tiny")
    assert (done.code, "links lead in a ring" in done.err) == (3, True), done.err
    assert not stage.world.journal.entries()


@pytest.mark.fault(95)
def test_a_file_where_a_folder_has_to_be(stage: Stage) -> None:
    stage.models_dir.mkdir()
    (stage.models_dir / "org").write_text("mine")
    done = stage.run("sync")
    assert (done.code, "move it away" in done.err) == (3, True), done.err
    assert (stage.models_dir / "org").read_text() == "mine"
    assert (stage.models_dir / "tts/voice.bin").exists()
    nobody_is_blamed(stage)
