"""Small files: the old one or the new one at every instant, and nothing else left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fallback import durable, owner


def test_the_new_text_with_rights_that_others_can_read_by(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("old", "new \u00e9"):
        durable.write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_writer_that_was_killed_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """Not what one that lives is writing, nor anybody else's file."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    place, pid, started = owner.ourselves().split("-")
    left = tmp_path / f".x.json.{place}-{dead.pid:x}-{started}-0000.tmp"
    others = [
        tmp_path / f".x.json.{place}-{pid}-{started}-0000.tmp",
        tmp_path / f".x.json.0f0f0f-1-{started}-0000.tmp",
        tmp_path / f".y.json.{place}-{dead.pid:x}-{started}-0000.tmp",
        tmp_path / ".x.json.tmp",
    ]
    long_ago = tmp_path / f".x.json.0f0f0f-2-{started}-0000.tmp"
    for path in (left, long_ago, *others):
        path.write_text("half")
    os.utime(long_ago, (1, 1))
    durable.write_text(tmp_path / ".x.json", "new")
    assert set(tmp_path.iterdir()) == {tmp_path / ".x.json", *others}


def test_what_need_not_last_is_whole_and_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise AssertionError("a disk was waited for")

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "copy.json"
    with durable.replacing(path, lasting=False) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [found.name for found in tmp_path.iterdir()] == ["copy.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")

    def fail(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr({"fsync": os, "replace": Path}[step], step, fail)
    with pytest.raises(OSError, match="No space left"):
        durable.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_folder_that_cannot_be_synced_is_no_error_but_a_failing_disk_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    fails: bool,  # noqa: FBT001 - a case
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(os, "fsync", fail)
    if fails:
        with pytest.raises(OSError, match="no"):
            durable.sync_folder(tmp_path)
    else:
        durable.sync_folder(tmp_path)
