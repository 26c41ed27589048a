"""Manifests of a folder, and models added to the manifest in force: nothing wrong gets in, nothing gets lost."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fallback import add_to_manifest, folder, manifest_from_dir, manifest_from_hub, merge
from fallback.errors import ConfigError, ManifestError, StoppedError, StorageError
from fallback.events import Listed, Warned
from fallback.ipfs import building
from fallback.ipfs.unixfs import V1_2025
from fallback.manifest import File, Manifest, Model
from fallback.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.events import Event

FILES = {"config.json": b"{}\n", "onnx/model.onnx": bytes(range(256)) * 9000, "empty": b""}
SHA = "ab" * 32


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path / "models", hf_endpoint="http://hub.invalid", jobs=3)


@pytest.fixture(name="tiny")
def _tiny(settings: Settings) -> Path:
    """A folder with three files, below the models folder."""
    root = settings.models_dir / "org/tiny"
    for path, data in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture(name="told")
def _told() -> list[Event]:
    return []


def said(told: list[Event]) -> str:
    return "\n".join(event.message for event in told if isinstance(event, Warned))


def paths(manifest: Manifest) -> list[str]:
    return [file.path for _, file in manifest.files()]


def one(name: str, path: str = "x", model_dir: str | None = None) -> Manifest:
    return Manifest((Model(name, "stt", model_dir or name, (File(path, 1, SHA),)),))


def test_a_folder_s_files_are_listed_with_what_proves_them(
    tiny: Path, settings: Settings, told: list[Event]
) -> None:
    """Sorted; each is told of; where they are is where they belong."""
    manifest = manifest_from_dir(tiny, settings=settings, observer=told.append)
    (model,) = manifest.models
    assert (model.name, model.type, model.dir, model.huggingface) == ("tiny", "tiny", "org/tiny", None)
    assert paths(manifest) == sorted(FILES)
    for file in model.files:
        data = FILES[file.path]
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.cid == str(building.file(io.BytesIO(data), V1_2025).cid)
    assert [event.path for event in told if isinstance(event, Listed)] == sorted(FILES)
    assert Manifest.parse(manifest.to_json(), name="again") == manifest


def test_names_are_as_they_are_given(tiny: Path, settings: Settings) -> None:
    manifest = manifest_from_dir(tiny, name="a b", model_type="voice", model_dir="x/y", settings=settings)
    (model,) = manifest.models
    assert (model.name, model.type, model.dir) == ("a b", "voice", "x/y")


def test_a_built_in_model_s_type_and_place_are_kept(tmp_path: Path, settings: Settings) -> None:
    """Of a folder elsewhere that has its name: the broadcasts and the folder that others know."""
    (tmp_path / "whisper-base").mkdir()
    (tmp_path / "whisper-base/x").write_bytes(b"x")
    (model,) = manifest_from_dir(tmp_path / "whisper-base", settings=settings).models
    assert (model.type, model.dir, model.huggingface) == ("stt", "onnx-community/whisper-base", None)


def test_hidden_names_and_ours_are_left_out_and_counted(
    tiny: Path, settings: Settings, told: list[Event]
) -> None:
    """Partials, ledgers and what was set aside; a folder counts once, and nothing in it is looked at."""
    (tiny / ".git").mkdir()
    (tiny / ".git/elsewhere").symlink_to("/")
    for name in (".hidden", "config.json.bak", "model.partial", "ODD.BAK", "onnx/.x.12345678-0000.ledger"):
        (tiny / name).write_bytes(b"x")
    assert paths(manifest_from_dir(tiny, settings=settings, observer=told.append)) == sorted(FILES)
    assert "6 left out" in said(told)
    assert ".git" in said(told)


@pytest.mark.parametrize(
    ("include", "found"),
    [
        (["*.onnx"], ["onnx/model.onnx"]),
        (["onnx/"], ["onnx/model.onnx"]),
        (["*.json", "empty"], ["config.json", "empty"]),
        (["c?nfig.[j]son"], ["config.json"]),
    ],
)
def test_only_what_is_included(tiny: Path, settings: Settings, include: list[str], found: list[str]) -> None:
    assert paths(manifest_from_dir(tiny, include=include, settings=settings)) == found


@pytest.mark.parametrize("include", [["nothing"], ["CONFIG.JSON"], ["config.json/"]])
def test_no_match_is_a_mistake_of_the_caller(tiny: Path, settings: Settings, include: list[str]) -> None:
    """An empty manifest would say that there is nothing to have."""
    with pytest.raises(ConfigError, match="no file that matches"):
        manifest_from_dir(tiny, include=include, settings=settings)


def test_an_empty_folder_and_none_at_all(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no file"):
        manifest_from_dir(tmp_path / "empty", settings=settings)
    with pytest.raises(ConfigError, match="is not a folder"):
        manifest_from_dir(tmp_path / "absent", settings=settings)


def test_links_out_of_the_folder_are_refused_and_all_are_named(
    tiny: Path, settings: Settings, tmp_path: Path
) -> None:
    """With unsafe names in the same breath, and before a byte is hashed; a link inside is the file it is."""
    (tmp_path / "secret").write_bytes(b"mine")
    (tiny / "out").symlink_to(tmp_path / "secret")
    (tiny / "up").symlink_to("../../..")
    (tiny / "round").symlink_to("round")
    (tiny / "gone").symlink_to("nowhere")
    (tiny / "twice").symlink_to("onnx")
    (tiny / "inside").symlink_to("onnx/model.onnx")
    os.mkfifo(tiny / "pipe")
    (tiny / "aux.bin").write_bytes(b"x")
    (tiny / "Config.json").write_bytes(b"x")
    with pytest.raises(ManifestError) as caught:
        manifest_from_dir(tiny, settings=settings)
    text = str(caught.value)
    assert len(caught.value.problems) == 8, text
    for name in ("out", "up", "round", "gone", "twice", "pipe", "aux.bin"):
        assert f'"{name}"' in text
    assert f"out of the folder, to {tmp_path / 'secret'}" in text
    assert "alike but for case" in text
    assert "inside" not in text


def test_a_link_inside_is_the_file_it_leads_to(tiny: Path, settings: Settings) -> None:
    (tiny / "inside").symlink_to("onnx/model.onnx")
    (model,) = manifest_from_dir(tiny, settings=settings).models
    proofs = {file.path: file.sha256 for file in model.files}
    assert proofs["inside"] == proofs["onnx/model.onnx"]


def test_a_link_that_is_not_asked_for_is_no_obstacle(tiny: Path, settings: Settings) -> None:
    """But one to a folder is: files that match may be behind it."""
    (tiny / "out").symlink_to("/etc/hostname")
    assert paths(manifest_from_dir(tiny, include=["*.json"], settings=settings)) == ["config.json"]
    (tiny / "etc").symlink_to("/etc")
    with pytest.raises(ManifestError, match='"etc": is a symbolic link out of the folder'):
        manifest_from_dir(tiny, include=["*.json"], settings=settings)


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"x")


def cut(path: Path) -> None:
    os.truncate(path, 5)


def rewrite(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"x")
    os.utime(path, ns=(1, 1))


def put_another(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [grow, cut, rewrite, put_another, Path.unlink])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tiny: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    """Its hash would be of bytes that never were a file; the message names it."""
    path, real = tiny / "onnx/model.onnx", hashlib.sha256

    class Hash:
        def __init__(self, data: bytes = b"") -> None:
            self.real, self.seen = real(data), 0

        def update(self, data: memoryview) -> None:
            self.real.update(data)
            if not self.seen and len(data) > 100:
                change(path)
            self.seen += len(data)

        def digest(self) -> bytes:
            return self.real.digest()

        def hexdigest(self) -> str:
            return self.real.hexdigest()

    monkeypatch.setattr(hashlib, "sha256", Hash)
    with pytest.raises(StorageError, match=r"model\.onnx: (changed|No such file)"):
        manifest_from_dir(tiny, settings=settings)


def test_hashing_is_stopped(tiny: Path, settings: Settings) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        manifest_from_dir(tiny, settings=settings, stop=stop)


@pytest.mark.parametrize("who", ["file", "observer"])
def test_a_failure_ends_the_other_threads(
    tiny: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """A file that cannot be read, or a pipe that nobody reads: no thread hashes on for no one."""
    ended = list[bool]()

    def slow(path: Path, file: File, over: Callable[[], bool]) -> File:
        if path.name != "model.onnx":
            if who == "file":
                raise StorageError(path, "no")
            return file
        until = time.monotonic() + 5
        while time.monotonic() < until and not over():
            time.sleep(0.01)
        ended.append(over())
        return file

    def fail(_event: Event) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(folder, "proven", slow)
    with pytest.raises((BrokenPipeError, StorageError)) as caught:
        manifest_from_dir(tiny, settings=settings, observer=fail)
    assert ended == [True], caught.value  # while somebody holds the error, and so every frame of it
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fallback_")]


def test_more_bytes_than_a_file_is_said_to_have() -> None:
    """As in /proc, where every size is 0: its promised size would never arrive."""
    with pytest.raises(StorageError, match="changed"):
        folder.proven(Path("/proc/self/status"), File("status", None, None), lambda: False)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"repo": "no such/name"}, "name.huggingface.repo"),
        ({"repo": "a/b/c"}, "c.huggingface.repo"),
        ({"repo": "../b"}, "b.huggingface.repo"),
        ({"repo": "a/b", "revision": "a b"}, "b.huggingface.revision"),
        ({"repo": "a/b", "path": "x/../../y"}, "b.huggingface.path"),
        ({"repo": "a/b", "model_dir": "../x"}, "b.dir"),
        ({"repo": "a/b", "name": "\u202eb"}, "an invisible character"),
        ({"repo": "a/b", "model_type": ""}, "b.type"),
    ],
)
def test_names_that_are_none_are_told_before_anything_is_requested(
    settings: Settings, arguments: dict[str, Any], where: str
) -> None:
    """All at once, at their keys; no state is made either."""
    with pytest.raises(ManifestError) as caught:
        manifest_from_hub(**arguments, settings=settings)
    assert where in str(caught.value)
    assert not settings.models_dir.exists()


def read(settings: Settings) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((settings.models_dir / ".manifests.json").read_text())
    return document


def test_a_new_file_begins_with_the_manifest_in_force(settings: Settings, told: list[Event]) -> None:
    """Adding one model must not lose the built-in ones; that this is so is said."""
    path = add_to_manifest(one("new"), settings=settings, observer=told.append)
    assert path == settings.models_dir / ".manifests.json"
    assert list(read(settings)) == [*(model.name for model in Manifest.builtin().models), "new"]
    assert "begins with the 2 model(s) of the manifest built in" in said(told)


def test_other_models_and_unknown_keys_are_kept(settings: Settings, told: list[Event]) -> None:
    """Also in the model that is replaced, whose files and CIDs are the new one's; its place in the order, too."""
    settings.models_dir.mkdir()
    file = {"size": 1, "sha256": SHA, "note": [1]}
    other = {"files": {"y": file}, "owner": {"a": None}, "ipfs": {"cid": "bafyother", "path": "p", "more": 2}}
    first = {"files": {"old": file}, "mine": True, "ipfsHash": "bafyfirst", "publishedAt": "2025"}
    (settings.models_dir / ".manifests.json").write_text(json.dumps({"first": first, "other": other}))
    add_to_manifest(one("first"), settings=settings, observer=told.append)
    document = read(settings)
    assert list(document) == ["first", "other"]
    assert document["first"]["mine"] is True
    assert list(document["first"]["files"]) == ["x"]
    assert not {"ipfs", "ipfsHash", "publishedAt"} & set(document["first"])
    assert document["other"]["owner"] == {"a": None}
    assert document["other"]["ipfs"] == other["ipfs"]
    assert document["other"]["files"] == {"y": file}
    assert said(told) == "model first was there, with 1 file(s), and is replaced"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ('{"a": {"files": {"x": {"size": 1}}}}', "sha256: is missing"), ("[]", "object")],
)
def test_a_file_that_is_no_manifest_is_left_as_it_is(settings: Settings, text: str, message: str) -> None:
    settings.models_dir.mkdir()
    path = settings.models_dir / ".manifests.json"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        add_to_manifest(one("new"), settings=settings)
    assert path.read_text() == text
    assert [each.name for each in settings.models_dir.iterdir() if each.is_file()] == [".manifests.json"]


def test_two_models_cannot_have_one_file(settings: Settings) -> None:
    add_to_manifest(one("a", model_dir="same"), settings=settings)
    before = read(settings)
    with pytest.raises(ManifestError, match="is the same target as"):
        add_to_manifest(one("b", model_dir="same"), settings=settings)
    assert read(settings) == before


def test_writers_at_once_lose_nothing(settings: Settings) -> None:
    """Twenty models by eight threads: all are there."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_to_manifest(one(f"m{number}"), settings=settings), range(20)))
    assert {f"m{number}" for number in range(20)} <= set(read(settings))


@pytest.mark.parametrize("exists", [True, False])
def test_a_lock_that_fails_loses_no_change_that_somebody_made_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    """P10: what another wrote between our reading and our writing is read, too; also where it made the file."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    real, done = merge._merged, list[bool]()

    def meanwhile(*args: Any) -> Manifest:
        if not done:
            done.append(True)
            add_to_manifest(one("theirs"), settings=settings)
        return real(*args)

    monkeypatch.setattr(fcntl, "flock", broken)
    if exists:
        add_to_manifest(one("first"), settings=settings)
    monkeypatch.setattr(merge, "_merged", meanwhile)
    add_to_manifest(one("ours"), settings=settings)
    assert {"theirs", "ours", *(["first"] if exists else [])} <= set(read(settings))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """At any step: the error is this machine's storage, and the next attempt succeeds."""
    add_to_manifest(one("a"), settings=settings)
    before = read(settings)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr({"fsync": os, "replace": Path}[step], step, fail)
        with pytest.raises(StorageError, match="No space left"):
            add_to_manifest(one("b"), settings=settings)
    assert read(settings) == before
    assert [each.name for each in settings.models_dir.iterdir() if each.is_file()] == [".manifests.json"]
    add_to_manifest(one("b"), settings=settings)
    assert "b" in read(settings)


def test_bytes_are_on_the_disk_before_the_name_and_the_name_after(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2: fsync of the file, rename, fsync of the folder, in this order; a new models folder's own name first."""
    done: list[str] = []
    sync, move = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return move(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    add_to_manifest(one("a"), settings=settings)
    assert done == ["folder", "file", "rename", "folder"]


def test_a_link_to_a_manifest_elsewhere_stays_a_link(settings: Settings, tmp_path: Path) -> None:
    settings.models_dir.mkdir()
    (tmp_path / "shared.json").write_text(one("a").to_json())
    (settings.models_dir / ".manifests.json").symlink_to(tmp_path / "shared.json")
    add_to_manifest(one("b"), settings=settings)
    assert (settings.models_dir / ".manifests.json").is_symlink()
    assert set(json.loads((tmp_path / "shared.json").read_text())) == {"a", "b"}


def test_a_setting_that_names_another_manifest_is_told(settings: Settings, told: list[Event]) -> None:
    """What was added would not be in force, and that is no surprise anybody wants; that other one is where it begins."""
    settings.models_dir.mkdir()
    path = settings.models_dir / "other.json"
    path.write_text(one("a").to_json())
    chosen = Settings(models_dir=settings.models_dir, manifest=path)
    add_to_manifest(one("b"), settings=chosen, observer=told.append)
    assert set(read(settings)) == {"a", "b"}
    assert f"the setting manifest names {path}, which stays in force" in said(told)
