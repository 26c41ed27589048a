"""What is left over: each kind goes when it is old enough and in no use, and nothing else ever does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from fallback import Settings, StorageError, delete_leftovers, find_leftovers, owner
from fallback.events import Warned
from fallback.locks import held
from fallback.names import UPGRADES
from fallback.state import State
from fallback.state.verified import Row
from fallback.waiting import INTENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.events import Event

HOUR, DAY = 3600.0, 86400.0
DATA = b"the right bytes"
SHA256 = hashlib.sha256(DATA).hexdigest()
OWNER_DEAD = f"{owner.ourselves().rpartition('-')[0]}-1"
MANIFEST = {
    "m": {
        "files": {
            "a.bin": {"size": len(DATA), "sha256": SHA256},
            "gone/b.bin": {"size": 1, "sha256": "00" * 32},
        }
    }
}


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    """One file is here and vouched for, the other is missing."""
    root = tmp_path / "models"
    (root / "m").mkdir(parents=True)
    (root / ".manifests.json").write_text(json.dumps(MANIFEST))
    (root / "m/a.bin").write_bytes(DATA)
    settings = Settings(models_dir=root)
    vouch(settings, "m/a.bin")
    return settings


def vouch(settings: Settings, path: str) -> None:
    about = (settings.models_dir / path).lstat()
    row = Row(about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, SHA256, 1.0, "cache", "")
    with State(settings.state_path, pytest.fail) as state:
        state.verified.put(path, row)


def rows(settings: Settings) -> list[str]:
    with State(settings.state_path, pytest.fail) as state:
        return list(state.verified.all())


def put(settings: Settings, path: str, size: int = 10) -> Path:
    target = settings.models_dir / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bytes(size))
    return target


def found(settings: Settings, age_s: float, *, unnamed: bool = False) -> list[tuple[str, str]]:
    """Kind and path of what is left over, so long from now."""
    leftovers = find_leftovers(unnamed=unnamed, settings=settings, now=time.time() + age_s)
    return [(each.kind, each.path.relative_to(settings.models_dir).as_posix()) for each in leftovers]


VERSION = f"{UPGRADES}/{'0' * 16}-{'1' * 16}"
CASES = [  # what, how old, asked for, is it left over?
    ("m/.x.bin.00000000-0123.partial", 0.9 * HOUR, "", None),
    ("m/.x.bin.00000000-0123.partial", 1.1 * HOUR, "", "partial"),
    (f"m/.x.bin.00000000-0123.{OWNER_DEAD}.partial", 1.1 * HOUR, "", "partial"),
    (f"m/.x.bin.00000000-0123.{owner.ourselves()}.partial", 1e6 * HOUR, "", None),
    ("m/.x.bin.00000000-0123.0f0f0f-1-1.partial", 1.1 * HOUR, "", "partial"),
    (f"m/.a.bin.{SHA256[:8]}-0123.partial", 1.1 * HOUR, "", "partial"),
    ("m/gone/.b.bin.00000000-0123.partial", 1e6 * HOUR, "", None),
    ("m/.x.bin.00000000-0123.ledger", 1.1 * HOUR, "", "partial"),
    ("m/a.bin.bak", 6.9 * DAY, "", None),
    ("m/a.bin.bak", 7.1 * DAY, "", "bak"),
    ("m/a.bin.18f.bak", 7.1 * DAY, "", "bak"),
    ("m/gone/b.bin.bak", 1e5 * DAY, "", None),
    ("notes.bak", 1e5 * DAY, "--unnamed", None),
    (f"{VERSION}/files/a.bin", 89 * DAY, "", None),
    (f"{VERSION}/files/a.bin", 91 * DAY, "", "version"),
    ("m/old.bin", 1e5 * DAY, "", None),
    ("m/old.bin", 0.9 * HOUR, "--unnamed", None),
    ("m/old.bin", 1.1 * HOUR, "--unnamed", "unnamed"),
    ("other/model/old.bin", 1.1 * HOUR, "--unnamed", "unnamed"),
    ("M/A.BIN", 1e5 * DAY, "--unnamed", None),  # on a disk that ignores case, this is the file itself
    ("m/gone/b.bin", 1e5 * DAY, "--unnamed", None),  # wrong, but named
    (".git/config", 1e5 * DAY, "--unnamed", None),
    ("m/.cache/x", 1e5 * DAY, "--unnamed", None),
    ("fallback.toml", 1e5 * DAY, "--unnamed", None),
]  # fmt: skip


# By number: an owner's name has the number of its process, and pytest-xdist wants the same names of all of them.
@pytest.mark.parametrize(("path", "age_s", "option", "kind"), CASES, ids=map(str, range(len(CASES))))
def test_what_is_left_over(
    settings: Settings, path: str, age_s: float, option: str, kind: str | None
) -> None:
    """A table; and what is told is what goes, with its bytes, and nothing else."""
    put(settings, path, 10)
    now = time.time() + age_s
    leftovers = find_leftovers(unnamed=bool(option), settings=settings, now=now)
    assert [(each.kind, each.size) for each in leftovers] == ([] if kind is None else [(kind, 10)])
    before = everything(settings)
    assert delete_leftovers(leftovers, settings=settings) == leftovers
    went = {path, VERSION} if kind == "version" else {path} if kind else set()
    assert {
        each for each in before if each not in everything(settings) and "/files" not in each
    } <= went | parents(path)
    assert (settings.models_dir / path).exists() == (kind is None)
    assert (settings.models_dir / "m/a.bin").read_bytes() == DATA


def everything(settings: Settings) -> set[str]:
    return {path.relative_to(settings.models_dir).as_posix() for path in settings.models_dir.rglob("*")}


def parents(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts))}


def test_a_partial_goes_with_its_ledger(settings: Settings) -> None:
    partial = put(settings, "m/.x.bin.00000000-0123.partial")
    ledger = put(settings, "m/.x.bin.00000000-0123.ledger")
    assert found(settings, 2 * HOUR) == [("partial", "m/.x.bin.00000000-0123.partial")]
    delete_leftovers(find_leftovers(settings=settings, now=time.time() + 2 * HOUR), settings=settings)
    assert not partial.exists()
    assert not ledger.exists()


def test_a_version_that_a_switch_needs_stays_and_so_does_what_it_set_aside(settings: Settings) -> None:
    """It wrote down what it is about: another process is at it, or was killed and is finished by the next run."""
    put(settings, f"{VERSION}/files/a.bin")
    put(settings, f"{VERSION}/{INTENT}")
    put(settings, "m/a.bin.bak")
    assert found(settings, 1e5 * DAY) == []


def test_a_version_that_an_upgrade_is_at_stays(settings: Settings) -> None:
    put(settings, f"{VERSION}/files/a.bin")
    leftovers = find_leftovers(settings=settings, now=time.time() + 91 * DAY)
    assert len(leftovers) == 1
    with held(settings.state_path / "locks" / f"{'0' * 16}.upgrade.lock", timeout_s=0):
        assert delete_leftovers(leftovers, settings=settings) == ()
    (settings.models_dir / VERSION / "files/b.bin").write_bytes(b"it has come back")
    assert delete_leftovers(leftovers, settings=settings) == ()
    assert (settings.models_dir / VERSION / "files/a.bin").exists()


def test_an_unnamed_file_that_a_sync_is_at_stays(settings: Settings) -> None:
    """A sync by another manifest holds the file's lock."""
    path = put(settings, "m/old.bin")
    leftovers = find_leftovers(unnamed=True, settings=settings, now=time.time() + DAY)
    lock = hashlib.sha256(b"m/old.bin").hexdigest()[:32]
    with held(settings.state_path / "locks" / f"{lock}.lock", timeout_s=0):
        assert delete_leftovers(leftovers, settings=settings) == ()
    assert path.exists()


@pytest.mark.parametrize("name", ["m/old.bin", "m/a.bin.bak", "m/.x.bin.00000000-0123.partial"])
def test_what_is_touched_between_the_look_and_the_deletion_stays(settings: Settings, name: str) -> None:
    path = put(settings, name)
    leftovers = find_leftovers(unnamed=True, settings=settings, now=time.time() + 8 * DAY)
    assert len(leftovers) == 1
    path.write_bytes(b"somebody wrote")
    assert delete_leftovers(leftovers, settings=settings) == ()
    assert path.exists()


def test_a_row_goes_with_the_unnamed_file(settings: Settings) -> None:
    put(settings, "m/old.bin")
    vouch(settings, "m/old.bin")
    delete_leftovers(
        find_leftovers(unnamed=True, settings=settings, now=time.time() + DAY), settings=settings
    )
    assert rows(settings) == ["m/a.bin"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("bundle", "share/all.tar"),
        ("ca_bundle", "share/ca.pem"),
        ("manifest", "share/manifest.json"),
        ("mirror", f"share/sha256/00/{'00' * 32}"),
    ],
)
def test_what_a_setting_names_is_not_unnamed(settings: Settings, name: str, path: str) -> None:
    """Whatever lies beside it is; and so is it, once no setting names it."""
    put(settings, "share/old.bin")
    target = put(settings, path)
    if name == "manifest":
        target.write_text(json.dumps(MANIFEST))
    if name == "ca_bundle":
        shutil.copy(certifi.where(), target)
    change: dict[str, Any] = {name: f"file://{settings.models_dir}/share" if name == "mirror" else target}
    everything = [("unnamed", each) for each in sorted([path, "share/old.bin"])]
    assert found(settings, DAY, unnamed=True) == everything
    assert found(replace(settings, **change), DAY, unnamed=True) == [("unnamed", "share/old.bin")]


@pytest.mark.parametrize(("mirror", "left"), [("file://{}", 1), ("s3://{}", 2), ("https://m.example", 2)])
def test_of_a_mirror_around_the_models_folder_only_its_own_is_not_unnamed(
    settings: Settings, mirror: str, left: int
) -> None:
    put(settings, "old.bin")
    put(settings, f"sha256/00/{'00' * 32}")
    mirrored = replace(settings, mirror=mirror.format(settings.models_dir))
    assert len(found(mirrored, DAY, unnamed=True)) == left


def test_both_manifests_name_files(settings: Settings, tmp_path: Path) -> None:
    """Who syncs by another manifest today does not lose what `.manifests.json` names; nor the other way round."""
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"n": {"files": {"c.bin": {"size": 10, "sha256": "11" * 32}}}}))
    put(settings, "n/c.bin")
    assert found(replace(settings, manifest=other), DAY, unnamed=True) == []
    assert found(settings, DAY, unnamed=True) == [("unnamed", "n/c.bin")]


@pytest.mark.parametrize("inside", ["m/linked", VERSION, UPGRADES, ".fallback"])
def test_no_link_is_followed_out_of_the_folder(settings: Settings, tmp_path: Path, inside: str) -> None:
    """P8: what is behind it belongs to somebody else."""
    settings = replace(settings, state_dir=tmp_path / "state")
    outside = tmp_path / "outside"
    for name in (
        "old.bin",
        ".x.bin.00000000-0123.partial",
        f"{'0' * 16}-1/old.bin",
        f"upgrade/{'0' * 16}-1/old.bin",
    ):
        path = outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    link = settings.models_dir / inside
    if inside == ".fallback":
        with contextlib.suppress(FileNotFoundError):
            (settings.models_dir / ".fallback").rename(tmp_path / "old-state")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    before = sorted(outside.rglob("*"))
    leftovers = find_leftovers(unnamed=True, settings=settings, now=time.time() + 1e4 * DAY)
    assert delete_leftovers(leftovers, settings=settings) == leftovers == ()
    assert sorted(outside.rglob("*")) == before
    assert link.is_symlink()


def test_a_folder_that_became_a_link_meanwhile_is_refused(settings: Settings, tmp_path: Path) -> None:
    path = put(settings, "n/old.bin")
    leftovers = find_leftovers(unnamed=True, settings=settings, now=time.time() + DAY)
    path.parent.rename(tmp_path / "outside")
    path.parent.symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="leads out of the models folder"):
        delete_leftovers(leftovers, settings=settings)
    assert (tmp_path / "outside/old.bin").exists()


def test_empty_folders_go_unless_a_manifest_needs_them(settings: Settings) -> None:
    put(settings, "other/deep/old.bin")
    put(settings, "m/gone/old.bin")
    delete_leftovers(
        find_leftovers(unnamed=True, settings=settings, now=time.time() + DAY), settings=settings
    )
    assert not (settings.models_dir / "other").exists()
    assert (settings.models_dir / "m/gone").is_dir()


def test_what_cannot_be_deleted_is_named_and_the_others_go(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = put(settings, "m/kept.bin"), put(settings, "m/zzz.bin")
    leftovers = find_leftovers(unnamed=True, settings=settings, now=time.time() + DAY)
    unlink: Callable[[Path], None] = type(kept).unlink

    def failing(path: Path, **_fields: bool) -> None:
        if path == kept:
            raise PermissionError(1, os.strerror(1))
        unlink(path)

    monkeypatch.setattr(type(kept), "unlink", failing)
    with pytest.raises(
        StorageError, match=r"1 of 2 could not be deleted:\n.*kept.bin: Operation not permitted"
    ):
        delete_leftovers(leftovers, settings=settings)
    assert (kept.exists(), gone.exists()) == (True, False)


@pytest.mark.parametrize(("most", "warnings"), [(20, 0), (4, 1)])
def test_a_large_folder_is_warned_of(settings: Settings, tmp_path: Path, most: int, warnings: int) -> None:
    """What is left over does not count: it is about to go."""
    settings = replace(settings, state_dir=tmp_path / "state", warn_total_bytes=len(DATA) + 400 + most)
    (settings.models_dir / ".fallback").rename(tmp_path / "state")
    (settings.models_dir / ".manifests.json").write_text(
        json.dumps(MANIFEST) + " " * (400 - len(json.dumps(MANIFEST)))
    )
    put(settings, "m/old.bin", 10)
    told: list[Event] = []
    find_leftovers(settings=settings, observer=told.append, now=time.time() + DAY)
    assert len([event for event in told if isinstance(event, Warned)]) == warnings
    told.clear()
    find_leftovers(unnamed=True, settings=settings, observer=told.append, now=time.time() + DAY)
    assert not told


def test_no_folder_at_all(tmp_path: Path) -> None:
    settings = Settings(models_dir=tmp_path / "absent")
    assert find_leftovers(unnamed=True, settings=settings) == ()
    assert not settings.models_dir.exists(), "asking makes no folder"
