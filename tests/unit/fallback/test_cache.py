"""The models folder: what is believed, what is set aside, and the moment of the final name."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fallback import durable, verify
from fallback.cache import Cache
from fallback.errors import DigestError, StoppedError, StorageError
from fallback.ledger import Response
from fallback.manifest import File, Model
from fallback.names import BAK
from fallback.state import State, later
from fallback.verify import Proof
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.partial import Partial

DATA = bytes(range(100))
OTHER = DATA[::-1]
FILE = File(path="onnx/a.bin", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
WANTED = Wanted(Model(name="m", type="m", dir="m", files=(FILE,)), FILE)
ONE = Response(0, "ipfs", "dweb.link")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state", pytest.fail) as opened:
        opened.verified.all()  # as in a run, the database is there before the first file
        yield opened


@pytest.fixture
def cache(root: Path, tmp_path: Path, state: State) -> Cache:
    return Cache(root, tmp_path / "state", state.verified, state.chunks)


@pytest.fixture
def target(cache: Cache) -> Path:
    return cache.target(WANTED)


def put(target: Path, data: bytes = DATA) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def partial(cache: Cache, data: bytes = DATA) -> Partial:
    made = cache.partial(WANTED, reserve_bytes=0, over=lambda: False)
    made.begin(ONE)
    made.write(data)
    return made


def is_wrong(cache: Cache, *, trust: bool = True) -> str:
    found = cache.lookup(WANTED, trust=trust)
    assert found is not None
    assert found.wrong is not None
    return str(found.wrong)


def is_right(cache: Cache) -> bool:
    found = cache.lookup(WANTED)
    return found is not None and found.wrong is None


def set_aside(cache: Cache) -> Path:
    found = cache.lookup(WANTED)
    assert found is not None
    kept = cache.set_aside(WANTED, found)
    assert kept is not None
    return kept


class TestLookup:
    """True, False, or what is wrong with what is there."""

    def test_nothing_there(self, cache: Cache, root: Path) -> None:
        assert cache.lookup(WANTED) is None
        root.mkdir()
        (root / "m").write_text("a file where a folder should be")
        assert cache.lookup(WANTED) is None

    def test_what_a_row_vouches_for_is_on_the_disk_first(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch, state: State
    ) -> None:
        """P2: whoever put the file there may have synced nothing, and a power cut would leave the row alone."""
        put(target)
        rows: list[object] = []
        monkeypatch.setattr(os, "fsync", lambda _descriptor: rows.append(state.verified.get("m/onnx/a.bin")))
        assert is_right(cache)
        assert rows == [None]
        assert cache.known(WANTED)

    def test_links_in_a_ring_are_this_machine_s_fault(self, cache: Cache, root: Path) -> None:
        """And no traceback."""
        root.mkdir()
        (root / "m").symlink_to("n")
        (root / "n").symlink_to("m")
        with pytest.raises(StorageError, match="links lead in a ring"):
            cache.lookup(WANTED)
        with pytest.raises(StorageError):
            cache.partial(WANTED, reserve_bytes=0, over=lambda: False)

    def test_a_right_file_is_hashed_once(self, cache: Cache, target: Path, state: State) -> None:
        put(target)
        assert not cache.known(WANTED)
        assert is_right(cache)
        assert cache.known(WANTED)
        row = state.verified.get("m/onnx/a.bin")
        assert row is not None
        assert (row.layer, row.sha256) == ("cache", FILE.sha256)

    @pytest.mark.parametrize(
        ("data", "why"), [(OTHER, "sha256"), (DATA[:-1], "99 bytes"), (DATA + b"x", "101 bytes")]
    )
    def test_wrong_bytes(self, cache: Cache, target: Path, data: bytes, why: str) -> None:
        put(target, data)
        assert why in is_wrong(cache)

    def test_a_row_is_not_believed_once_the_file_changed(self, cache: Cache, target: Path) -> None:
        """Same size and mtime set back: ctime tells."""
        put(target)
        assert is_right(cache)
        before = target.stat()
        target.write_bytes(OTHER)
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert not cache.known(WANTED)
        assert "sha256" in is_wrong(cache)

    def test_untrusting_reads_what_a_row_vouches_for(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(target)
        assert is_right(cache)
        reads: list[File] = []

        def prove(file: File, *_: object) -> Proof:
            reads.append(file)
            raise DigestError(expected="", seen="")

        monkeypatch.setattr(verify, "prove", prove)
        assert is_right(cache)
        assert is_wrong(cache, trust=False)
        assert reads == [FILE]
        assert not cache.known(WANTED)  # a row never outlives the bytes it speaks of

    def test_a_file_that_is_written_to_while_it_is_read_gets_no_row(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was proven is not what is there any more."""
        put(target)

        def prove(*_: object) -> Proof:
            os.utime(target, (1, 1))
            proof = Proof(FILE)
            proof.update(target.read_bytes())
            return proof

        monkeypatch.setattr(verify, "prove", prove)
        assert is_right(cache)
        assert not cache.known(WANTED)

    def test_a_link_is_not_the_file(self, cache: Cache, target: Path, tmp_path: Path) -> None:
        put(target)
        target.rename(tmp_path / "elsewhere")
        target.symlink_to(tmp_path / "elsewhere")
        assert "symbolic link" in is_wrong(cache)

    @pytest.mark.parametrize("kind", ["folder", "pipe"])
    def test_what_is_no_file(self, cache: Cache, target: Path, kind: str) -> None:
        target.parent.mkdir(parents=True)
        target.mkdir() if kind == "folder" else os.mkfifo(target)
        with pytest.raises(StorageError, match="this is not a file"):
            cache.lookup(WANTED)
        assert kind in is_wrong(cache, trust=False)

    def test_a_folder_that_leads_out_is_refused(self, cache: Cache, root: Path, tmp_path: Path) -> None:
        """P8."""
        (tmp_path / "out" / "onnx").mkdir(parents=True)
        root.mkdir()
        (root / "m").symlink_to(tmp_path / "out")
        assert cache.lookup(WANTED) is None
        with pytest.raises(StorageError, match="leads out of the models folder"):
            cache.partial(WANTED, reserve_bytes=0, over=lambda: False)
        cache.target(WANTED).write_bytes(b"somebody else's")
        with pytest.raises(StorageError, match="leads out of the models folder"):
            cache.lookup(WANTED)

    def test_a_models_folder_may_itself_be_a_link(
        self, cache: Cache, root: Path, target: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "big disk").mkdir()
        root.symlink_to(tmp_path / "big disk")
        put(target)
        assert is_right(cache)


class TestCommit:
    """fsync, rename, fsync of the folder, row: in that order (P1, P2)."""

    def test_it_gets_its_name_and_its_row(self, cache: Cache, target: Path, state: State) -> None:
        cache.commit(WANTED, partial(cache))
        assert target.read_bytes() == DATA
        assert [path.name for path in target.parent.iterdir()] == ["a.bin"]
        row = state.verified.get("m/onnx/a.bin")
        assert row is not None
        assert (row.layer, row.source) == ("ipfs", "dweb.link")
        assert cache.known(WANTED)

    def test_what_is_not_the_file_gets_no_name(self, cache: Cache, target: Path) -> None:
        put(target, b"the old one")
        with closing(partial(cache, OTHER)) as wrong, pytest.raises(DigestError):
            cache.commit(WANTED, wrong)
        assert target.read_bytes() == b"the old one"

    def test_the_order(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch, state: State
    ) -> None:
        order: list[str] = []
        real_fsync, real_vouch = os.fsync, cache._vouch

        def fsync(descriptor: int) -> None:
            is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
            order.append(f"fsync {'folder' if is_folder else 'file'} {target.exists()}")
            real_fsync(descriptor)

        def vouch(*args: object, **kwargs: object) -> None:
            order.append(f"row {state.verified.get('m/onnx/a.bin') is None}")
            real_vouch(*args, **kwargs)  # type: ignore[arg-type]

        ready = partial(cache)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(cache, "_vouch", vouch)
        cache.commit(WANTED, ready)
        assert order == ["fsync file False", "fsync folder True", "row True"]

    def test_who_waited_for_the_lock_finds_the_row_of_a_large_file(
        self, cache: Cache, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And does not hash it once more."""
        monkeypatch.setattr(later, "GROUP_S", 3600.0)
        monkeypatch.setattr("fallback.state.verified.HASTE_BYTES", len(DATA) - 1)
        with State(tmp_path / "state", pytest.fail) as state:
            theirs = Cache(root, tmp_path / "state", state.verified, state.chunks)
            cache.commit(WANTED, partial(cache))
            assert theirs.known(WANTED)

    def test_a_disk_that_fails_at_fsync_gives_no_name(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync(_descriptor: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with closing(partial(cache)) as ready:
            monkeypatch.setattr(os, "fsync", fsync)
            with pytest.raises(StorageError, match="Input/output error"):
                cache.commit(WANTED, ready)
        assert not target.exists()
        assert not cache.known(WANTED)

    def test_a_file_system_that_cannot_sync_folders_is_left_at_that(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ready, real = partial(cache), os.fsync

        def fsync(descriptor: int) -> None:
            if target.exists():
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        cache.commit(WANTED, ready)
        assert cache.known(WANTED)

    def test_a_folder_in_its_place_is_not_touched(self, cache: Cache, target: Path) -> None:
        with closing(partial(cache)) as ready:
            target.mkdir()
            with pytest.raises(StorageError, match="this is not a file"):
                cache.commit(WANTED, ready)
        assert target.is_dir()


class TestFolders:
    """A folder's own name lasts before what is in it is vouched for (P2)."""

    def test_also_one_that_was_there(
        self, cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch, root: Path
    ) -> None:
        """Who made it may have been killed before he synced it; each is synced once."""
        target.parent.mkdir(parents=True)
        synced: list[Path] = []
        monkeypatch.setattr(durable, "sync_folder", synced.append)
        for _ in range(2):
            cache.partial(WANTED, reserve_bytes=0, over=lambda: False).close()
        assert sorted(synced) == [root.parent, root, root / "m"]

    def test_a_folder_that_may_not_be_read_is_left_at_that(
        self, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One above ours, which others may pass through and not list."""
        target.parent.mkdir(parents=True)

        def refuse(*_: object) -> int:
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            durable.Folders(target.parents[2]).make(target.parent)


class TestRoom:
    """Refused before the network, and a partial's bytes count as paid."""

    def test_no_room(self, cache: Cache, monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1000, 850, 150))
        with pytest.raises(
            StorageError, match=r"no room: 50 bytes must be freed \(100 are kept in reserve\)"
        ):
            cache.partial(WANTED, reserve_bytes=100, over=lambda: False)
        assert list(target.parent.iterdir()) == []

    def test_what_others_were_promised_counts(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        """Several workers look at the same free bytes; none of theirs is written yet."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1000, 750, 250))
        first = cache.partial(WANTED, reserve_bytes=100, over=lambda: False)
        with pytest.raises(StorageError, match="no room: 50 bytes"):
            cache.partial(WANTED, reserve_bytes=100, over=lambda: False)
        first.close()
        second = cache.partial(WANTED, reserve_bytes=100, over=lambda: False)
        second.close()

    def test_what_is_there_needs_no_room(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        partial(cache, DATA[:60]).close()
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1000, 850, 150))
        again = cache.partial(WANTED, reserve_bytes=100, over=lambda: False)
        assert again.size == 60
        again.close()


def test_setting_aside_keeps_every_one(cache: Cache, target: Path) -> None:
    put(target, b"one")
    assert set_aside(cache) == target.with_name("a.bin.bak")
    put(target, b"two")
    second = set_aside(cache)
    assert second.name.startswith("a.bin.")
    assert second.suffix == BAK
    assert sorted(path.read_bytes() for path in target.parent.iterdir()) == [b"one", b"two"]


def test_a_row_goes_before_its_bytes_do(
    cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    """A kill in between costs hashing what is wrong once more."""
    put(target)
    assert is_right(cache)
    put(target, DATA[:-1])
    found = cache.lookup(WANTED)
    assert found is not None
    assert state.verified.get("m/onnx/a.bin") is not None

    def killed(_self: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.set_aside(WANTED, found)
    assert state.verified.get("m/onnx/a.bin") is None
    assert "99 bytes" in is_wrong(cache)


def test_what_is_gone_before_it_is_opened_is_not_there(
    cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: another process, whose lock failed, sets it aside at that moment; no disk is to blame."""
    put(target)
    monkeypatch.setattr(cache, "inside", Path.unlink)
    assert cache.lookup(WANTED) is None


def test_what_is_gone_before_it_is_set_aside_is_nobody_s_fault(
    cache: Cache, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(target, OTHER)
    found = cache.lookup(WANTED)
    assert found is not None

    def same(path: Path, _about: os.stat_result) -> bool:
        path.unlink()
        return True

    monkeypatch.setattr("fallback.cache._same", same)
    assert cache.set_aside(WANTED, found) is None


def test_what_somebody_else_put_right_meanwhile_is_not_set_aside(cache: Cache, target: Path) -> None:
    """Two processes found the same wrong file; one has replaced it already."""
    put(target, OTHER)
    found = cache.lookup(WANTED)
    assert found is not None
    target.unlink()
    put(target, DATA)
    assert cache.set_aside(WANTED, found) is None
    assert is_right(cache)
    target.unlink()
    assert cache.set_aside(WANTED, found) is None


def test_reading_ends_when_the_run_does(cache: Cache, target: Path) -> None:
    put(target)
    with pytest.raises(StoppedError):
        cache.lookup(WANTED, over=lambda: True)
    assert not cache.known(WANTED)


def test_a_folder_of_no_models_knows_its_files_by_their_whole_paths(
    root: Path, tmp_path: Path, state: State
) -> None:
    """`fallback get -o` two files of one name in two folders."""
    ones, others = (
        Cache(root / name, tmp_path / "state", state.verified, state.chunks, alone=True)
        for name in ("a", "b")
    )
    assert ones.key(WANTED) != others.key(WANTED)
    put(ones.target(WANTED))
    assert is_right(ones)
    assert not others.known(WANTED)


class TestLock:
    """It saves a second download, and nothing else (P10)."""

    def test_held_and_let_go(self, cache: Cache) -> None:
        waits: list[None] = []

        def hold(timeout_s: float) -> bool:
            with cache.lock(
                WANTED, timeout_s=timeout_s, waits=lambda: waits.append(None), over=lambda: False
            ) as held:
                return held

        with cache.lock(WANTED, timeout_s=1, waits=pytest.fail, over=lambda: False) as held:
            assert held
            assert not hold(0.05)
            assert len(waits) == 1
        assert hold(0.05)

    def test_a_waiter_gets_it(self, cache: Cache) -> None:
        waiting = threading.Event()
        got: list[bool] = []

        def wait() -> None:
            with cache.lock(WANTED, timeout_s=30, waits=waiting.set, over=lambda: False) as held:
                got.append(held)

        thread = threading.Thread(target=wait)
        with cache.lock(WANTED, timeout_s=1, waits=pytest.fail, over=lambda: False):
            thread.start()
            assert waiting.wait(10)
        thread.join()
        assert got == [True]

    def test_a_run_that_is_over_does_not_wait(self, cache: Cache) -> None:
        with (
            cache.lock(WANTED, timeout_s=1, waits=pytest.fail, over=lambda: False),
            cache.lock(WANTED, timeout_s=600, waits=lambda: None, over=lambda: True) as held,
        ):
            assert not held

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
    def test_locks_may_fail(self, cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        def flock(*_args: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        with cache.lock(WANTED, timeout_s=1, waits=pytest.fail, over=lambda: False) as held:
            assert not held

    def test_no_folder_for_locks(self, cache: Cache, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state" / "locks").write_text("a file in its place")
        with cache.lock(WANTED, timeout_s=1, waits=pytest.fail, over=lambda: False) as held:
            assert not held


class TestSweep:
    """What nobody wants goes after its time; what anybody may want stays."""

    def sweep(self, cache: Cache, *wanted: Wanted, idle_s: float = 3600, bak_s: float = 1e9) -> None:
        for each in cache.left_over(wanted, time.time() - idle_s, time.time() - bak_s):
            assert each.delete()

    def left(self, cache: Cache, age_s: float) -> Path:
        made = partial(cache, DATA[:10])
        made.close()
        path = made.ledger.path.with_suffix(".partial")
        for each in (path, made.ledger.path):
            os.utime(each, (time.time() - age_s,) * 2)
        return path

    def test_a_wanted_partial_stays_however_old(self, cache: Cache) -> None:
        path = self.left(cache, 1e6)
        self.sweep(cache, WANTED)
        assert path.exists()

    def test_an_unwanted_one_goes_after_its_time_with_its_ledger(self, cache: Cache) -> None:
        path = self.left(cache, 1800)
        self.sweep(cache)
        assert path.exists()
        self.sweep(cache, idle_s=1700)
        assert list(path.parent.iterdir()) == []

    def test_one_of_a_file_that_is_here_goes(self, cache: Cache, target: Path) -> None:
        path = self.left(cache, 7200)
        put(target)
        assert is_right(cache)
        self.sweep(cache, WANTED)
        assert not path.exists()

    def test_one_that_somebody_writes_to_stays(self, cache: Cache) -> None:
        made = partial(cache, DATA[:10])
        os.utime(made.path, (1, 1))
        self.sweep(cache)
        assert made.path.exists()
        made.close()

    def test_a_ledger_without_a_partial_goes(self, cache: Cache) -> None:
        path = self.left(cache, 7200)
        path.unlink()
        self.sweep(cache)
        assert list(path.parent.iterdir()) == []

    def test_a_bak_goes_only_beside_a_file_we_vouch_for(self, cache: Cache, target: Path) -> None:
        put(target, OTHER)
        kept = set_aside(cache)
        own = target.with_name("notes.bak")
        own.write_text("not ours")
        self.sweep(cache, WANTED, bak_s=0)
        assert kept.exists()
        cache.commit(WANTED, partial(cache))
        self.sweep(cache, WANTED, bak_s=0)
        assert (kept.exists(), own.exists(), target.exists()) == (False, True, True)
