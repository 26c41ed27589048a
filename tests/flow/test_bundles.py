"""Models in one file: made in one folder, installed in another, whatever happens on the way; and as a source."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fallback import (
    BundleError,
    ConfigError,
    Manifest,
    Settings,
    StoppedError,
    StorageError,
    UnavailableError,
    add_to_manifest,
    create_bundle,
    durable,
    finish_upgrades,
    install_bundle,
    load_manifest,
    sync,
    write_car,
)
from fallback.bundles.input import Input
from fallback.bundles.source import InBundle
from fallback.cache import Cache
from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    FileCompleted,
    Quarantined,
    RunStarted,
    Waiting,
    Warned,
)
from fallback.state import State
from fallback.switch import Switch
from fallback.tar import END, header, padding
from fallback.waiting import Waiting as Waits
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from fallback.events import Event

FILES = {
    "one/config.json": b'{"a": 1}',
    "one/onnx/model.onnx": bytes(range(256)) * 9000,  # 2.3 MB: three chunks
    "two/empty.bin": b"",
    "two/t\u00e4xt.txt": b"text" * 200,
}
DEAD = "http://127.0.0.1:9"
ROOT = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
"""A CID that nobody has anything of."""


def entry(path: str, data: bytes) -> dict[str, Any]:
    return {path.partition("/")[2]: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}}


def document(files: dict[str, bytes] = FILES) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for path, data in files.items():
        model = models.setdefault(path.partition("/")[0], {"type": "stt", "files": {}, "huggingface": None})
        model["files"] |= entry(path, data)
    return models


def settings_of(folder: Path, **others: Any) -> Settings:
    return Settings(
        models_dir=folder, gateways=(DEAD,), hf_endpoint=DEAD, reserve_bytes=0, backoff_s=0.01, max_wait_s=0.1,
        timeout_s=2, **others,
    )  # fmt: skip


def filled(folder: Path, files: dict[str, bytes] = FILES, *, manifest: bool = True) -> Settings:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    if manifest:
        (folder / ".manifests.json").write_text(json.dumps(document(files)))
    return settings_of(folder)


def visible(folder: Path) -> dict[str, bytes]:
    """Every file of the folder that is not ours."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> Settings:
    """A folder that holds everything."""
    return filled(tmp_path / "here")


@pytest.fixture(name="there")
def _there(tmp_path: Path) -> Settings:
    """One that holds nothing, and knows of no model but these: the built-in ones are no matter here."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/.manifests.json").write_text("{}")
    return settings_of(tmp_path / "there")


@pytest.fixture(name="bundle")
def _bundle(here: Settings, tmp_path: Path) -> Path:
    create_bundle([], tmp_path / "all.tar", settings=here)
    return tmp_path / "all.tar"


def members(bundle: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(bundle) as opened:
        return [(each.name, opened.extractfile(each).read()) for each in opened]  # type: ignore[union-attr]


def written(bundle: Path, held: list[tuple[str, bytes]], behind: bytes = END) -> Path:
    bundle.write_bytes(
        b"".join(header(name, len(data)) + data + padding(len(data)) for name, data in held) + behind
    )
    return bundle


class TestMaking:
    def test_what_stands_in_it(self, bundle: Path) -> None:
        """The manifest first, then its files in its order."""
        (first, text), *others = members(bundle)
        assert first == ".manifests.json"
        manifest = Manifest.parse(text, name="x")
        assert [model.target(file) for model, file in manifest.files()] == [name for name, _ in others]
        assert dict(others) == FILES

    def test_the_same_models_are_the_same_bytes(self, bundle: Path, tmp_path: Path) -> None:
        """Whoever made it, when, from a manifest in whatever order, with whatever modes and times."""
        other = filled(tmp_path / "other", dict(reversed(FILES.items())))
        for path in (tmp_path / "other").rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(0o755)
        create_bundle(["two", "one"], tmp_path / "other.tar", settings=other)
        assert (tmp_path / "other.tar").read_bytes() == bundle.read_bytes()

    def test_these_very_bytes(self, bundle: Path) -> None:
        """Of version 1 of the form: a later program must not write others."""
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
        assert digest == "9bca619a28fcf7d581700b3bcfb778b7124bd58a5876c2f2b840814939c9459c"

    def test_of_some_models(self, here: Settings, tmp_path: Path) -> None:
        made = create_bundle(["two"], tmp_path / "two.tar", settings=here)
        assert (made.models, made.files, made.bytes_total) == (("two",), 2, 800)
        assert [name for name, _ in members(tmp_path / "two.tar")][1:] == [
            "two/empty.bin",
            "two/t\u00e4xt.txt",
        ]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda path: path.unlink(), "is not here"),
            (lambda path: path.write_bytes(b"short"), "has 5 bytes, not 2304000"),
            (lambda path: path.write_bytes(bytes(2304000)), "is not the file of the manifest"),
            (lambda path: (path.unlink(), path.mkdir()), "is not here"),
        ],
    )
    def test_a_file_that_is_not_right_is_named(
        self, here: Settings, tmp_path: Path, change: Any, said: str
    ) -> None:
        """And nothing is left, not even of a bundle that was there: that one stays."""
        change(here.models_dir / "one/onnx/model.onnx")
        (tmp_path / "out").mkdir()
        (tmp_path / "out/a.tar").write_bytes(b"before")
        with pytest.raises(ConfigError, match=f"one/onnx/model.onnx: {said}"):
            create_bundle([], tmp_path / "out/a.tar", settings=here)
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a.tar": b"before"}

    def test_every_file_that_is_missing_is_named(self, here: Settings, tmp_path: Path) -> None:
        for path in ("one/config.json", "two/empty.bin"):
            (here.models_dir / path).unlink()
        with pytest.raises(
            ConfigError, match=r"(?s)one/config.json: is not here.*two/empty.bin: is not here"
        ):
            create_bundle([], tmp_path / "a.tar", settings=here)

    def test_stopped(self, here: Settings, tmp_path: Path) -> None:
        stop = threading.Event()
        stop.set()
        (tmp_path / "out").mkdir()
        with pytest.raises(StoppedError):
            create_bundle([], tmp_path / "out/a.tar", settings=here, stop=stop)
        assert not list((tmp_path / "out").iterdir())

    def test_into_a_stream(self, here: Settings, bundle: Path) -> None:
        stream = io.BytesIO()
        create_bundle([], stream, settings=here)
        assert stream.getvalue() == bundle.read_bytes()

    def test_whoever_reads_it_goes_away(self, here: Settings) -> None:
        """That is no failure of a file that is read."""

        class Gone(io.BytesIO):
            def write(self, data: Any, /) -> int:
                if len(data) > 100_000:
                    raise BrokenPipeError
                return super().write(data)

        with pytest.raises(BrokenPipeError):
            create_bundle([], Gone(), settings=here)

    @pytest.mark.parametrize(
        "name",
        [
            ".manifests.json",
            "one/config.json",
            "two/empty.bin",
            "two/../one/config.json",
            "link",
            "given.json",
        ],
    )
    @pytest.mark.parametrize("models", [[], ["one"]])
    def test_what_it_is_made_of_is_not_written_over(
        self, here: Settings, name: str, models: list[str]
    ) -> None:
        """The manifests, and files of any of its models, also of those that are not asked for."""
        (here.models_dir / "link").symlink_to("one/config.json")
        (here.models_dir / "given.json").write_text(json.dumps(document()))
        before = visible(here.models_dir)
        given = replace(here, manifest=here.models_dir / "given.json")
        for settings in (here, given) if name != "given.json" else (given,):
            with pytest.raises(ConfigError, match="a name of its own"):
                create_bundle(models, here.models_dir / name, settings=settings)
        assert visible(here.models_dir) == before
        assert json.loads((here.models_dir / ".manifests.json").read_text()) == document()

    @pytest.mark.parametrize("name", ["a.tar", "a.tar.zst"])
    def test_a_full_disk_keeps_nothing_and_does_not_say_so(
        self, here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        class Full(io.BytesIO):
            def write(self, _data: Any, /) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(durable, "replacing", lambda _path: contextlib.nullcontext(Full()))
        with pytest.raises(
            StorageError, match=r"No space left on device: free space on its disk, then run this again$"
        ):
            create_bundle([], tmp_path / name, settings=here)

    def test_a_device_is_no_file_to_replace(self, here: Settings) -> None:
        with pytest.raises(StorageError, match="no file"):
            create_bundle([], Path("/dev/null"), settings=here)


class TestInstalling:
    def test_everything_comes_and_is_proven(self, bundle: Path, there: Settings) -> None:
        told: list[Event] = []
        summary = install_bundle(bundle, settings=there, observer=told.append)
        assert summary.ok
        assert {file.layer for file in summary.files} == {"bundle"}
        assert visible(there.models_dir) == FILES
        assert {model.name for model in load_manifest(there).models} == {"one", "two"}
        assert sum(isinstance(each, FileCompleted) for each in told) == len(FILES)
        assert not (there.models_dir / ".fallback/upgrade").exists()

    def test_what_was_installed_is_not_hashed_again(
        self, bundle: Path, there: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its rows came with it."""
        install_bundle(bundle, settings=there)
        monkeypatch.setattr(Cache, "_proven", lambda *_: pytest.fail("a file was read"))
        summary = sync(settings=there)
        assert (summary.ok, {file.layer for file in summary.files}) == (True, {"cache"})

    def test_from_a_pipe(self, bundle: Path, there: Settings) -> None:
        with subprocess.Popen(["cat", str(bundle)], stdout=subprocess.PIPE) as cat:
            assert cat.stdout is not None
            assert install_bundle(cat.stdout, settings=there).ok  # type: ignore[arg-type]
        assert visible(there.models_dir) == FILES

    def test_compressed(self, here: Settings, there: Settings, tmp_path: Path) -> None:
        create_bundle([], tmp_path / "all.tar.zst", settings=here)
        assert (tmp_path / "all.tar.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
        assert install_bundle(tmp_path / "all.tar.zst", settings=there).ok
        assert visible(there.models_dir) == FILES

    def test_by_the_system_s_tar(self, bundle: Path, there: Settings) -> None:
        """Who has no such program unpacks it, and has what a sync accepts."""
        subprocess.run(
            ["tar", "-xf", str(bundle), "-C", str(there.models_dir)], check=True, env={"LC_ALL": "C.UTF-8"}
        )
        assert sync(settings=replace(there, offline=True)).ok

    def test_a_second_time_nothing_is_written(self, bundle: Path, there: Settings) -> None:
        install_bundle(bundle, settings=there)
        before = {path: (there.models_dir / path).stat().st_mtime_ns for path in FILES}
        summary = install_bundle(bundle, settings=there)
        assert {file.layer for file in summary.files} == {"cache"}
        assert {path: (there.models_dir / path).stat().st_mtime_ns for path in FILES} == before

    def test_what_is_here_already_is_not_needed_of_it(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """A bundle without a file that is in its place is enough."""
        filled(there.models_dir, {"two/empty.bin": b""}, manifest=False)
        held = [each for each in members(bundle) if each[0] != "two/empty.bin"]
        assert install_bundle(written(tmp_path / "less.tar", held), settings=there).ok

    def test_wrong_files_in_its_places_are_set_aside(self, bundle: Path, there: Settings) -> None:
        filled(there.models_dir, {"one/config.json": b"something else"}, manifest=False)
        told: list[Event] = []
        assert install_bundle(bundle, settings=there, observer=told.append).ok
        assert (there.models_dir / "one/config.json.bak").read_bytes() == b"something else"
        assert [each.path for each in told if isinstance(each, Quarantined)] == ["config.json"]
        assert visible(there.models_dir) == FILES | {"one/config.json.bak": b"something else"}

    def test_its_models_join_those_that_are_there(self, bundle: Path, there: Settings) -> None:
        filled(there.models_dir, {"three/x": b"x"})
        install_bundle(bundle, settings=there)
        assert [model.name for model in load_manifest(there).models] == ["three", "one", "two"]

    def test_on_a_fresh_machine_its_models_alone_are_in_force(self, bundle: Path, tmp_path: Path) -> None:
        """And not the built-in ones, which nobody chose: a sync without a network has all there is."""
        told: list[Event] = []
        new = settings_of(tmp_path / "new", offline=True)
        install_bundle(bundle, settings=new, observer=told.append)
        assert [model.name for model in load_manifest(new).models] == ["one", "two"]
        assert any("is new" in each.message for each in told if isinstance(each, Warned))
        assert sync(settings=new).ok

    def test_on_a_fresh_machine_a_built_in_name_is_free(self, tmp_path: Path) -> None:
        """Of another version than the built-in manifest has: there is nothing here to be replaced."""
        [name, *_] = [model.name for model in Manifest.builtin().models]
        here = filled(tmp_path / "here", {f"{name}/x": b"x"})
        models = document({f"{name}/x": b"x"})
        models[name]["dir"] = name
        (here.models_dir / ".manifests.json").write_text(json.dumps(models))
        create_bundle([], tmp_path / "b.tar", settings=here)
        new = settings_of(tmp_path / "new", offline=True)
        assert install_bundle(tmp_path / "b.tar", settings=new).ok
        assert sync(settings=new).ok

    def test_where_built_in_models_are_they_stay_in_force(self, bundle: Path, tmp_path: Path) -> None:
        new, builtin = settings_of(tmp_path / "new"), Manifest.builtin()
        [(model, file), *_] = builtin.files()
        (new.models_dir / model.target(file)).parent.mkdir(parents=True)
        (new.models_dir / model.target(file)).write_bytes(b"x")
        install_bundle(bundle, settings=new)
        assert [each.name for each in load_manifest(new).models] == [
            *(each.name for each in builtin.models),
            "one",
            "two",
        ]


def other_version(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A bundle of model one with one file changed, one added, one removed."""
    files = {"one/config.json": b'{"a": 2}', "one/new.bin": b"new"}
    create_bundle([], tmp_path / "other.tar", settings=filled(tmp_path / "newer", files))
    return tmp_path / "other.tar", files


class TestAPlaceThatNoFileCanHave:
    @pytest.mark.parametrize("kind", ["link", "folder"])
    def test_is_refused_before_anything_is_read(
        self, bundle: Path, there: Settings, tmp_path: Path, kind: str
    ) -> None:
        """Also for the last file: nothing waits, and nothing was changed."""
        if kind == "link":
            (tmp_path / "outside").mkdir()
            (there.models_dir / "two").symlink_to(tmp_path / "outside")
        else:
            (there.models_dir / "two/t\u00e4xt.txt").mkdir(parents=True)
        told: list[Event] = []
        with pytest.raises(StorageError, match="leads out" if kind == "link" else "is not a file"):
            install_bundle(bundle, settings=there, observer=told.append)
        assert not [each for each in told if isinstance(each, AttemptStarted)]
        assert not list(tmp_path.glob("outside/*"))
        assert (there.models_dir / ".manifests.json").read_text() == "{}"


class TestAnotherVersion:
    def test_a_file_of_it_that_is_there_already_stays(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Somebody put it there by hand: it makes no room for itself."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        (there.models_dir / "one/config.json").write_bytes(files["one/config.json"])
        assert install_bundle(other, settings=there, replace_models=True).ok
        assert files.items() <= visible(there.models_dir).items()
        assert "one/config.json.bak" not in visible(there.models_dir)

    def test_is_refused(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        install_bundle(bundle, settings=there)
        other, _ = other_version(tmp_path)
        before = (there.models_dir / ".manifests.json").read_bytes()
        with pytest.raises(ConfigError, match="one: `--replace`"):
            install_bundle(other, settings=there)
        assert visible(there.models_dir) == FILES
        assert (there.models_dir / ".manifests.json").read_bytes() == before

    def test_replaces_when_told_to(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        """What it does not have any more becomes .bak, too; other models are not touched."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        assert install_bundle(other, settings=there, replace_models=True).ok
        kept = {f"{path}.bak": FILES[path] for path in ("one/config.json", "one/onnx/model.onnx")}
        two = {path: data for path, data in FILES.items() if path.startswith("two")}
        assert visible(there.models_dir) == files | kept | two
        assert sync(settings=replace(there, offline=True)).ok

    @pytest.mark.parametrize("breaks", ["_set_aside", "_enter", "_name", "_make_last"])
    @pytest.mark.parametrize("at", [1, 2])
    def test_a_disk_that_fails_leaves_everything_as_it_was(
        self,
        bundle: Path,
        there: Settings,
        tmp_path: Path,
        breaks: str,
        at: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """All or nothing, also when the disk fails between two renames; then the same command is done with it."""
        install_bundle(bundle, settings=there)
        before = (there.models_dir / ".manifests.json").read_bytes()
        other, files = other_version(tmp_path)
        real, calls = getattr(Switch, breaks), iter(range(1, 100))

        def broken(*args: Any) -> Any:
            if next(calls) == at:
                raise StorageError(there.models_dir, "the disk failed")
            result = real(*args)
            if at == 2 and breaks in {"_enter", "_make_last"}:
                raise StorageError(there.models_dir, "the disk failed")
            return result

        monkeypatch.setattr(Switch, breaks, broken)
        with pytest.raises(StorageError):
            install_bundle(other, settings=there, replace_models=True)
        monkeypatch.undo()
        assert visible(there.models_dir) == FILES
        assert (there.models_dir / ".manifests.json").read_bytes() == before
        assert install_bundle(other, settings=there, replace_models=True).ok
        assert files.items() <= visible(there.models_dir).items()


class TestBesideASync:
    def test_a_file_that_somebody_gets_is_waited_for(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Nothing has been renamed by then: a sync by the old manifest would put its version over the new one."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        before, waits = (there.models_dir / ".manifests.json").read_bytes(), 0
        wanted = Wanted(load_manifest(there).model("one"), load_manifest(there).model("one").files[0])
        with State(there.state_path, pytest.fail) as state, contextlib.ExitStack() as held:
            cache = Cache(there.models_dir, there.state_path, state.verified, state.chunks)
            held.enter_context(cache.lock(wanted, timeout_s=0, waits=pytest.fail, over=lambda: False))

            def tell(event: Event) -> None:
                nonlocal waits
                if isinstance(event, Waiting):
                    waits += 1
                    assert visible(there.models_dir) == FILES
                    assert (there.models_dir / ".manifests.json").read_bytes() == before
                    held.close()

            assert install_bundle(other, settings=there, replace_models=True, observer=tell).ok
        assert waits == 1
        assert files.items() <= visible(there.models_dir).items()

    @pytest.mark.parametrize("at", [RunStarted, AttemptStarted])
    @pytest.mark.parametrize("stands", [b"", b"something else"])
    def test_a_sync_by_the_manifest_before_it_takes_nothing_back(
        self, bundle: Path, there: Settings, tmp_path: Path, at: type[Event], stands: bytes
    ) -> None:
        """Whether it has not begun the file yet, or is at it for longer than its lock is waited for."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        (there.models_dir / "one/config.json").unlink()
        if stands:
            (there.models_dir / "one/config.json").write_bytes(stands)
        installed = 0

        def tell(event: Event) -> None:
            nonlocal installed
            if isinstance(event, at) and not installed:
                installed = 1
                install_bundle(other, settings=replace(there, lock_timeout_s=0.05), replace_models=True)

        summary = sync(settings=replace(there, bundle=bundle), observer=tell)
        assert installed
        assert files.items() <= visible(there.models_dir).items()
        assert "config.json" in {failure.path for failure in summary.failures}
        assert {failure.reasons[0][0] for failure in summary.failures} == {"the manifest"}
        assert "it was changed meanwhile" in summary.failures[0].error
        assert sync(settings=replace(there, offline=True)).ok

    def test_each_file_is_locked_once_and_in_one_order(
        self, bundle: Path, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second lock of its own would be waited for, and two installs must not wait for each other."""
        install_bundle(bundle, settings=there)
        real, locked = Cache.lock, []

        def lock(self: Cache, wanted: Wanted, **others: Any) -> Any:
            locked.append(self.key(wanted))
            return real(self, wanted, **others)

        monkeypatch.setattr(Cache, "lock", lock)
        install_bundle(other_version(tmp_path)[0], settings=there, replace_models=True)
        assert locked == ["one/config.json", "one/new.bin", "one/onnx/model.onnx"]


KILLED = """
import os, sys
from pathlib import Path
from fallback import Settings, install_bundle
count = 0
def dying(move):
    def moved(self, target):
        global count
        if any(part in f"{self} {target}" for part in (".bak", ".manifests.json", ".fallback/upgrade/")) and self.suffix != ".partial":
            count += 1
            if count > int(sys.argv[2]):
                os._exit(9)
        return move(self, target)
    return moved
Path.rename, Path.replace = dying(Path.rename), dying(Path.replace)
install_bundle(Path(sys.argv[1]), settings=Settings.load(), replace_models=True)
"""


def environment_of(there: Settings) -> dict[str, str]:
    """For a process that is to work in the same folder."""
    return os.environ | {"FALLBACK_MODELS_DIR": str(there.models_dir), "FALLBACK_RESERVE_BYTES": "0"}


def killed(bundle: Path, there: Settings, step: int) -> subprocess.CompletedProcess[bytes]:
    """An install in a process of its own, which dies at the rename after so many."""
    command = [sys.executable, "-c", KILLED, str(bundle), str(step)]
    return subprocess.run(command, env=environment_of(there), timeout=30, check=False)


class TestKilledBetweenTheRenames:
    @pytest.mark.parametrize("step", range(6))
    def test_the_next_sync_finishes_it_without_a_source(
        self, bundle: Path, there: Settings, tmp_path: Path, step: int
    ) -> None:
        """Before the first of them the old version stays; after it the new one is whole, and the bundle not needed."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        assert killed(other, there, step).returncode == 9
        other.unlink()
        promised = {model.target(file): file.sha256 for model, file in load_manifest(there).files()}
        for path, data in visible(there.models_dir).items():
            assert path.endswith(".bak") or hashlib.sha256(data).hexdigest() == promised[path], "P1"
        told: list[Event] = []
        finish_upgrades(there, told.append)
        assert bool(told) is bool(step)
        assert sync(settings=replace(there, offline=True)).ok
        assert (files if step else FILES).items() <= visible(there.models_dir).items()
        assert {file.path for file in load_manifest(there).model("one").files} == {
            path.partition("/")[2] for path in (files if step else FILES) if path.startswith("one/")
        }

    def test_by_another_manifest_it_is_left_alone(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Until a run by the folder's own: the other one may promise other bytes under the same names."""
        install_bundle(bundle, settings=there)
        other, files = other_version(tmp_path)
        killed(other, there, 4)
        (tmp_path / "given.json").write_text(json.dumps(document()))
        before = visible(there.models_dir)
        finish_upgrades(
            replace(there, manifest=tmp_path / "given.json"), lambda event: pytest.fail(str(event))
        )
        assert visible(there.models_dir) == before
        finish_upgrades(there)
        assert files.items() <= visible(there.models_dir).items()


class TestAManifestThatIsGiven:
    def test_wins_and_stays_in_force(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        (tmp_path / "given.json").write_text(json.dumps(document()))
        given = replace(there, manifest=tmp_path / "given.json")
        assert install_bundle(bundle, settings=given).ok
        assert visible(there.models_dir) == FILES
        assert (there.models_dir / ".manifests.json").read_text() == "{}"

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({**FILES, "one/config.json": b'{"a": 2}'}, "one/config.json is not the file"),
            ({"one/config.json": FILES["one/config.json"]}, 'no model "two"'),
            (
                {path: data for path, data in FILES.items() if "onnx" not in path},
                "model.onnx is not the file",
            ),
            ({**FILES, "two/more": b"x"}, "does not hold 1 file.* two/more"),
        ],
    )
    def test_refuses_what_it_has_otherwise(
        self, bundle: Path, there: Settings, tmp_path: Path, files: dict[str, bytes], said: str
    ) -> None:
        (tmp_path / "given.json").write_text(json.dumps(document(files)))
        with pytest.raises(BundleError, match=said):
            install_bundle(bundle, settings=replace(there, manifest=tmp_path / "given.json"))
        assert not visible(there.models_dir)


def swapped(held: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    (first, one), (second, two) = held[1], held[2]
    return [held[0], (first, two), (second, one), *held[3:]]


REFUSED: dict[str, tuple[Any, str]] = {
    "no manifest": (lambda held: held[1:], "its first file is no"),
    "a manifest later": (lambda held: [held[1], held[0], *held[2:]], "its first file is no"),
    "two manifests": (lambda held: [held[0], *held], "does not name"),
    "a manifest that is none": (lambda held: [(held[0][0], b"{"), *held[1:]], "manifest"),
    "a manifest without a digest": (
        lambda held: [(held[0][0], b'{"m": {"files": {"a": {"size": 1}}}}'), ("m/a", b"x")],
        "sha256",
    ),
    "a manifest that leaves the folder": (
        lambda held: [(held[0][0], json.dumps({"m": {"dir": "../x", "files": entry("m/a", b"x")}}).encode())],
        "segment",
    ),
    "a manifest that names the manifest": (
        lambda held: [
            (held[0][0], json.dumps({"m": {"dir": ".fallback", "files": entry("m/a", b"x")}}).encode())
        ],
        "our own",
    ),
    "a file more": (lambda held: [*held, ("one/more", b"x")], "one/more.*does not name"),
    "a file that leaves the folder": (lambda held: [*held, ("../evil", b"x")], "does not name"),
    "a file at the root": (lambda held: [*held, ("/etc/evil", b"x")], "does not name"),
    "a file under another spelling": (
        lambda held: [held[0], ("./one/config.json", held[1][1])],
        "does not name",
    ),
    "a file twice": (lambda held: [*held, held[1]], "twice"),
    "a file less": (lambda held: held[:-1], "does not hold 1 file"),
    "no file at all": (lambda held: held[:1], "does not hold 4 file"),
    "a file too long": (lambda held: [*held[:1], (held[1][0], held[1][1] + b"x")], "9 bytes where 8"),
    "a file too short": (lambda held: [*held[:1], (held[1][0], b"")], "0 bytes where 8"),
    "other bytes": (lambda held: [*held[:1], (held[1][0], b"x" * 8)], "one/config.json: sha256"),
    "swapped files": (swapped, "bytes where"),
    "a name with an escape": (lambda held: [*held, ("a\x1b[2Jb", b"x")], r"'a\\x1b"),
}


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bundle_that_is_not_right_is_refused_whole(
    bundle: Path, there: Settings, tmp_path: Path, change: Any, said: str
) -> None:
    """Not a byte of it is visible, and the manifest is as it was."""
    bad = written(tmp_path / "bad.tar", change(members(bundle)))
    with pytest.raises((BundleError, ConfigError), match=said):
        install_bundle(bad, settings=there)
    assert not visible(there.models_dir)
    assert (there.models_dir / ".manifests.json").read_text() == "{}"
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there", "all.tar", "bad.tar"}


@pytest.mark.parametrize("data", [b"", b"x", b"PK\3\4" * 200, bytes(2048), b"\x28\xb5\x2f\xfd" + b"x" * 600])
def test_what_is_no_bundle_is_refused(there: Settings, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "no.tar").write_bytes(data)
    with pytest.raises(BundleError, match=r"no\.tar"):
        install_bundle(tmp_path / "no.tar", settings=there)


def test_a_giant_manifest_is_not_read(there: Settings, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(header(".manifests.json", 1 << 30) + bytes(1 << 20))
    with pytest.raises(BundleError, match="are allowed"):
        install_bundle(tmp_path / "bad.tar", settings=there)


class TestZstd:
    def test_a_window_larger_than_8_mib_is_refused(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Whoever packs it decides on the memory that unpacking takes, up to here."""
        zstd = pytest.importorskip("backports.zstd")
        options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
        packer = zstd.ZstdCompressor(options=options)
        (tmp_path / "w.tar.zst").write_bytes(
            packer.compress(bundle.read_bytes() + bytes(1 << 24)) + packer.flush()
        )
        with pytest.raises(BundleError, match=r"w\.tar\.zst: it cannot be read"):
            install_bundle(tmp_path / "w.tar.zst", settings=there)

    def test_a_bomb_is_left_alone(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        """A gigabyte of zeros behind the end, in a few KiB: no more of it is unpacked than padding can be."""
        zstd = pytest.importorskip("backports.zstd")
        packer = zstd.ZstdCompressor()
        packed = packer.compress(bundle.read_bytes()) + b"".join(
            packer.compress(bytes(1 << 20)) for _ in range(1024)
        )
        (tmp_path / "b.tar.zst").write_bytes(packed + packer.flush())
        began = time.process_time()
        with pytest.raises(BundleError, match="behind its end"):
            install_bundle(tmp_path / "b.tar.zst", settings=there)
        assert time.process_time() - began < 5
        assert not visible(there.models_dir)

    def test_one_that_is_cut_off(self, here: Settings, there: Settings, tmp_path: Path) -> None:
        create_bundle([], tmp_path / "c.tar.zst", settings=here)
        data = (tmp_path / "c.tar.zst").read_bytes()
        (tmp_path / "c.tar.zst").write_bytes(data[: len(data) // 2])
        with pytest.raises(BundleError, match=r"^c\.tar\.zst: it cannot be read: .*cut off"):
            install_bundle(tmp_path / "c.tar.zst", settings=there)
        assert not visible(there.models_dir)


class TestCutAndKilled:
    @pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.9995])
    def test_one_that_is_cut_off_is_gone_on_with(
        self, bundle: Path, there: Settings, tmp_path: Path, keep: float
    ) -> None:
        """What was proven of it is not written again from the whole one, and what had come of a file is resumed."""
        data = bundle.read_bytes()
        (tmp_path / "cut.tar").write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(BundleError, match="cut off"):
            install_bundle(tmp_path / "cut.tar", settings=there)
        assert not visible(there.models_dir)
        told: list[Event] = []
        assert install_bundle(bundle, settings=there, observer=told.append).ok
        assert visible(there.models_dir) == FILES
        received = sum(each.bytes_received for each in told if isinstance(each, AttemptEnded))
        assert received <= sum(map(len, FILES.values())) - (keep - 0.01) * len(data) + 8192

    def test_stopped_in_the_middle(self, bundle: Path, there: Settings) -> None:
        stop = threading.Event()
        told: list[Event] = []

        def tell(event: Event) -> None:
            told.append(event)
            if isinstance(event, AttemptStarted) and event.path == "onnx/model.onnx":
                stop.set()

        with pytest.raises(StoppedError):
            install_bundle(bundle, settings=there, observer=tell, stop=stop)
        assert not visible(there.models_dir)
        told.clear()
        assert install_bundle(bundle, settings=there, observer=told.append).ok
        offsets = [each.offset for each in told if isinstance(each, AttemptStarted)]
        assert [each for each in offsets if each], "it began anew"

    def test_killed_in_the_middle(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        """The command line, by SIGKILL while the bundle is still coming; then it goes on."""
        fifo, data = tmp_path / "pipe", bundle.read_bytes()
        os.mkfifo(fifo)
        command = [sys.executable, "-m", "fallback", "bundle", "install", "-", "-q"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment_of(there)) as running:
            assert running.stdin is not None
            running.stdin.write(data[: len(data) // 2])
            running.stdin.flush()
            ends_at = time.monotonic() + 20
            while not list(there.models_dir.rglob("*.partial")) and time.monotonic() < ends_at:
                time.sleep(0.02)
            running.send_signal(signal.SIGKILL)
        assert not visible(there.models_dir)
        told: list[Event] = []
        assert install_bundle(bundle, settings=there, observer=told.append).ok
        assert visible(there.models_dir) == FILES
        assert not list((there.models_dir / ".fallback").glob("upgrade/*"))

    def test_after_one_with_wrong_bytes_the_right_one_is_installed(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Nothing of what was wrong is gone on with."""
        held = [(name, data[:-1] + b"x" if name.endswith("onnx") else data) for name, data in members(bundle)]
        with pytest.raises(BundleError, match=r"model\.onnx: sha256"):
            install_bundle(written(tmp_path / "bad.tar", held), settings=there)
        assert install_bundle(bundle, settings=there).ok
        assert visible(there.models_dir) == FILES

    def test_what_a_killed_install_left_of_a_wrong_one_costs_one_more_try(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Nobody can know whose the wrong bytes are, and a pipe cannot be read twice: it says so."""
        (tmp_path / "cut.tar").write_bytes(bundle.read_bytes()[: 1 << 20])
        with pytest.raises(BundleError, match="cut off"):
            install_bundle(tmp_path / "cut.tar", settings=there)
        [partial] = there.models_dir.rglob("*.partial")
        partial.write_bytes(bytes(1 << 19))
        with pytest.raises(BundleError, match="try once more"):
            install_bundle(bundle, settings=there)
        assert not visible(there.models_dir)
        assert install_bundle(bundle, settings=there).ok

    def test_a_file_that_says_to_be_larger_is_not_begun(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Its header alone is enough to refuse it."""
        held = members(bundle)
        data = header(held[0][0], len(held[0][1])) + held[0][1] + padding(len(held[0][1]))
        (tmp_path / "bomb.tar").write_bytes(data + header("one/config.json", 1 << 40) + bytes(1 << 20))
        told: list[Event] = []
        with pytest.raises(BundleError, match="1099511627776 bytes where 8"):
            install_bundle(tmp_path / "bomb.tar", settings=there, observer=told.append)
        assert not [each for each in told if isinstance(each, AttemptStarted)]

    def test_what_waits_of_another_bundle_goes(self, bundle: Path, there: Settings, tmp_path: Path) -> None:
        (tmp_path / "cut.tar").write_bytes(bundle.read_bytes()[:-3000])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "cut.tar", settings=there)
        [waiting] = (there.models_dir / ".fallback/upgrade").iterdir()
        other, _ = other_version(tmp_path)
        install_bundle(other, settings=there)
        assert not waiting.exists()

    def test_one_that_fails_leaves_what_waits_of_another(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "cut.tar").write_bytes(bundle.read_bytes()[:-3000])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "cut.tar", settings=there)
        other, _ = other_version(tmp_path)
        (tmp_path / "other-cut.tar").write_bytes(other.read_bytes()[:-1100])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "other-cut.tar", settings=there)
        assert list(there.models_dir.rglob("model.onnx"))

    def test_one_without_the_lock_leaves_what_waits_of_another(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """Whoever holds it may be at it."""
        (tmp_path / "cut.tar").write_bytes(bundle.read_bytes()[:-3000])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "cut.tar", settings=there)
        [waiting] = (there.models_dir / ".fallback/upgrade").iterdir()
        with Waits(waiting).locked(there):
            other, _ = other_version(tmp_path)
            assert install_bundle(other, settings=replace(there, lock_timeout_s=0.05)).ok
        assert list(waiting.rglob("model.onnx"))

    def test_what_waits_and_was_spoiled_is_not_used(
        self, bundle: Path, there: Settings, tmp_path: Path
    ) -> None:
        """P6: a row speaks of what it was."""
        (tmp_path / "cut.tar").write_bytes(bundle.read_bytes()[:-3000])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "cut.tar", settings=there)
        [config] = there.models_dir.rglob("config.json")
        before = config.stat()
        config.write_bytes(b"x" * before.st_size)
        os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert install_bundle(bundle, settings=there).ok
        assert visible(there.models_dir) == FILES


def test_at_no_instant_is_anything_wrong_visible(bundle: Path, there: Settings, tmp_path: Path) -> None:
    """P1, sampled: a name is absent or right by the manifest in force, while versions replace one another."""
    other, _ = other_version(tmp_path)
    install_bundle(bundle, settings=there)
    over, looks = threading.Event(), 0
    wrong: list[str] = []

    def look() -> None:
        nonlocal looks
        while not over.is_set():
            before = (there.models_dir / ".manifests.json").read_bytes()
            seen = {
                path.relative_to(there.models_dir).as_posix(): _read(path)
                for path in [*(there.models_dir / "one").rglob("*"), *(there.models_dir / "two").rglob("*")]
                if path.suffix not in {".bak", ".partial", ".ledger"} and path.is_file()
            }
            if (there.models_dir / ".manifests.json").read_bytes() != before:
                continue
            looks += 1
            promised = {
                model.target(file): file.sha256
                for model, file in Manifest.parse(before, name="in force").files()
            }
            wrong.extend(
                path
                for path, data in seen.items()
                if data is not None
                and hashlib.sha256(data).hexdigest() != promised.get(path)
                # It may have been renamed between the two readings of the manifest: it counts if it stays.
                and _read(there.models_dir / path) == data
                and (there.models_dir / ".manifests.json").read_bytes() == before
            )

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for each in [other, bundle] * 4:
            install_bundle(each, settings=there, replace_models=True)
    finally:
        over.set()
        looking.join()
    assert not wrong
    assert looks > 20


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class TestCar:
    @pytest.fixture(name="car", autouse=True)
    def _car(self, here: Settings, tmp_path: Path) -> Path:
        (here.models_dir / "two/empty.bin").unlink()
        files = {path: data for path, data in FILES.items() if data}
        write_car([], tmp_path / "all.car", settings=filled(here.models_dir, files))
        return tmp_path / "all.car"

    @pytest.fixture(name="given")
    def _given(self, here: Settings, there: Settings) -> Settings:
        return replace(there, manifest=here.models_dir / ".manifests.json")

    def test_of_models_that_the_manifest_names(self, car: Path, given: Settings) -> None:
        """By the names in their folders, where no CID is in the manifest; the SHA-256 proves them."""
        assert install_bundle(car, settings=given).ok
        assert visible(given.models_dir) == {path: data for path, data in FILES.items() if data}

    def test_by_the_model_s_cid_and_by_files_cids(
        self, here: Settings, given: Settings, tmp_path: Path
    ) -> None:
        made = write_car(["one"], tmp_path / "one.car", settings=here)
        changed = document({path: data for path, data in FILES.items() if data})
        changed["one"]["ipfs"] = {"cid": made[0].cid}
        add_to_manifest(Manifest.parse(json.dumps(changed), name="x"), settings=given)
        given = replace(given, manifest=None)
        assert install_bundle(tmp_path / "one.car", settings=given).ok
        assert set(visible(given.models_dir)) == {"one/config.json", "one/onnx/model.onnx"}

    def test_of_something_else(self, car: Path, there: Settings, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="no CID of the manifest"):
            install_bundle(car, settings=there)
        (tmp_path / "given.json").write_text(
            json.dumps(document({"one/config.json": b"x", "one/onnx/y": b""}))
        )
        with pytest.raises(BundleError, match=r"one/config\.json: 8 bytes"):
            install_bundle(car, settings=replace(there, manifest=tmp_path / "given.json"))
        assert not visible(there.models_dir)

    @pytest.mark.parametrize("at", [0.3, 0.6, 0.99])
    def test_cut_and_spoiled(self, car: Path, given: Settings, tmp_path: Path, at: float) -> None:
        data = car.read_bytes()
        cut = int(len(data) * at)
        (tmp_path / "cut.car").write_bytes(data[:cut])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "cut.car", settings=given)
        (tmp_path / "bad.car").write_bytes(data[:cut] + bytes([data[cut] ^ 1]) + data[cut + 1 :])
        with pytest.raises(BundleError):
            install_bundle(tmp_path / "bad.car", settings=given)
        assert not visible(given.models_dir)
        assert install_bundle(car, settings=given).ok


class TestAsASource:
    @pytest.fixture(name="asking")
    def _asking(self, there: Settings, bundle: Path) -> Settings:
        (there.models_dir / ".manifests.json").write_text(json.dumps(document()))
        return replace(there, bundle=bundle)

    @pytest.mark.parametrize("offline", [False, True])
    def test_it_has_what_no_network_has(self, asking: Settings, *, offline: bool) -> None:
        """Also offline: nothing is requested of anybody."""
        summary = sync(settings=replace(asking, offline=offline))
        assert summary.ok
        assert visible(asking.models_dir) == FILES
        assert {(file.layer, file.source) for file in summary.files} == {("bundle", "all.tar (bundle)")}

    def test_it_is_asked_last(self, asking: Settings) -> None:
        told: list[Event] = []
        model = document({"one/config.json": FILES["one/config.json"]})["one"]
        model |= {"huggingface": {"repo": "a/b"}, "ipfs": {"cid": ROOT}}
        manifest = Manifest.parse(json.dumps({"one": model}), name="x")
        sync(manifest, settings=replace(asking, patience_s=20), observer=told.append)
        layers = [each.layer for each in told if isinstance(each, AttemptStarted)]
        assert layers[-1] == "bundle"
        assert set(layers) == {"ipfs", "huggingface", "bundle"}

    def test_wrong_bytes_in_it_are_wrong_bytes(self, asking: Settings, tmp_path: Path, bundle: Path) -> None:
        held = [(name, data if name != "one/config.json" else b"x" * 8) for name, data in members(bundle)]
        told: list[Event] = []
        summary = sync(
            settings=replace(asking, bundle=written(tmp_path / "bad.tar", held)), observer=told.append
        )
        assert [failure.path for failure in summary.failures] == ["config.json"]
        assert "one/config.json" not in visible(asking.models_dir)
        assert {each.outcome for each in told if isinstance(each, AttemptEnded) and not each.ok} == {
            "corrupt"
        }

    def test_once_it_is_mended_it_has_the_file(self, asking: Settings, tmp_path: Path, bundle: Path) -> None:
        """What it sent before is held against it, and it is all there is."""
        held = [(name, data if name != "one/config.json" else b"x" * 8) for name, data in members(bundle)]
        spoiled = replace(asking, bundle=written(tmp_path / "bad.tar", held))
        assert not sync(settings=spoiled).ok
        (tmp_path / "bad.tar").write_bytes(bundle.read_bytes())
        assert sync(settings=spoiled).ok

    def test_offline_and_without_the_file_it_says_so(
        self, asking: Settings, here: Settings, tmp_path: Path
    ) -> None:
        create_bundle(["two"], tmp_path / "two.tar", settings=here)
        summary = sync(settings=replace(asking, bundle=tmp_path / "two.tar", offline=True))
        assert {failure.model for failure in summary.failures} == {"one"}
        assert "offline is set" in summary.failures[0].error

    def test_one_that_lacks_a_file_is_not_asked_for_it(
        self, asking: Settings, here: Settings, tmp_path: Path
    ) -> None:
        create_bundle(["two"], tmp_path / "two.tar", settings=here)
        told: list[Event] = []
        summary = sync(settings=replace(asking, bundle=tmp_path / "two.tar"), observer=told.append)
        assert {failure.model for failure in summary.failures} == {"one"}
        assert {each.model for each in told if isinstance(each, AttemptStarted)} == {"two"}

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (str, "not there"),
            (Path.mkdir, "no file"),
            (lambda path: path.write_bytes(b"junk" * 1000), "no tar of POSIX"),
            (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" * 1000), "compressed"),
            (lambda path: path.write_bytes(header(".manifests.json", 2) + b"{}" + bytes(510) + header("x", 0) + END), "does not name"),
            (lambda path: path.write_bytes(header(".manifests.json", 2) + b"{}"), "cut off"),
            (os.mkfifo, "no file"),
        ],
    )  # fmt: skip
    def test_one_that_cannot_be_read_says_why(
        self, asking: Settings, tmp_path: Path, make: Any, said: str
    ) -> None:
        """Once in a run, and of every file that failed; no file asks it, nothing waits for it, and no run ends by it."""
        make(tmp_path / "bad.tar")
        for settings in (
            replace(asking, bundle=tmp_path / "bad.tar", offline=each) for each in (False, True)
        ):
            told: list[Event] = []
            summary = sync(settings=settings, observer=told.append)
            assert len(summary.failures) == len(FILES)
            assert all(said in failure.error for failure in summary.failures)
            [warned] = [each.message for each in told if isinstance(each, Warned)]
            assert (warned.startswith("bad.tar (bundle): "), said in warned) == (True, True)
            assert not [each for each in told if isinstance(each, AttemptStarted)]

    def test_one_whose_disk_fails_is_asked(self, asking: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        """It may be well again for the next file: each says what came of it."""

        def failing(*_: Any) -> Any:
            raise BundleError(f"it cannot be read: {os.strerror(errno.EIO)}")

        monkeypatch.setattr(Input, "look", failing)
        told: list[Event] = []
        summary = sync(settings=asking, observer=told.append)
        assert not [each for each in told if isinstance(each, Warned)]
        assert {each.outcome for each in told if isinstance(each, AttemptEnded)} == {"unavailable"}
        assert all("Input/output error" in failure.error for failure in summary.failures)

    def test_one_that_changes_is_looked_at_again(self, here: Settings, tmp_path: Path) -> None:
        """Also by the source that has looked at it."""
        changing = tmp_path / "changing.tar"
        source = InBundle(changing)
        wanted = {model.name: Wanted(model, model.files[0]) for model in load_manifest(here).models}
        create_bundle(["two"], changing, settings=here)
        assert source.request(wanted["one"]) is None
        assert source.request(wanted["two"]) is not None
        create_bundle(["one"], changing, settings=here)
        assert source.request(wanted["one"]) is not None
        assert source.request(wanted["two"]) is None

    def test_a_part_is_read_from_its_middle(self, asking: Settings) -> None:
        """What an earlier run had is not read again."""
        partial = asking.models_dir / "one/onnx"
        partial.mkdir(parents=True)
        digest = hashlib.sha256(FILES["one/onnx/model.onnx"]).hexdigest()
        (partial / f".model.onnx.{digest[:8]}-beef.partial").write_bytes(
            FILES["one/onnx/model.onnx"][:1_000_000]
        )
        told: list[Event] = []
        assert sync(models=["one"], settings=asking, observer=told.append).ok
        onnx = [
            each for each in told if isinstance(each, AttemptStarted | AttemptEnded) and "onnx" in each.path
        ]
        assert [each.kind for each in onnx] == ["attempt_started", "attempt_ended"]
        assert onnx[0].offset == 1_000_000  # type: ignore[union-attr]
        assert onnx[1].bytes_received == len(FILES["one/onnx/model.onnx"]) - 1_000_000  # type: ignore[union-attr]


def test_without_any_source_it_fails_with_the_reason(there: Settings) -> None:
    (there.models_dir / ".manifests.json").write_text(json.dumps(document()))
    summary = sync(settings=replace(there, offline=True))
    assert "offline is set" in summary.failures[0].error


def test_a_deadline_ends_an_install(bundle: Path, there: Settings) -> None:
    with pytest.raises(UnavailableError, match="deadline"):
        install_bundle(io.BytesIO(bundle.read_bytes()), settings=replace(there, deadline_s=0.0))
    assert not visible(there.models_dir)
