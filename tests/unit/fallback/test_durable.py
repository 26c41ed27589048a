"""Small files: the old one or the new one at every instant, and nothing else left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fallback import durable


def test_the_new_text_with_rights_that_others_can_read_by(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("old", "new \u00e9"):
        durable.write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [path]


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
