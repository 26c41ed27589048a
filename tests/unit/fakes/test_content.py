from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from fakes.content import BLOCK, make_blob, scratch_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_blob_has_exactly_its_size_and_hash(size: int, tmp_path: Path) -> None:
    blob = make_blob("a", size, tmp_path)
    data = bytes(blob.view())
    assert len(data) == blob.size == size
    assert hashlib.sha256(data).hexdigest() == blob.sha256
    chunks = [data[at : at + BLOCK] for at in range(0, size, BLOCK)]
    assert list(blob.chunks) == [hashlib.sha256(chunk).digest() for chunk in chunks]
    assert blob.path.read_bytes() == data


def test_the_bytes_depend_on_name_and_size_alone(tmp_path: Path) -> None:
    """Pinned, so that no Python version and no change of ours moves them unnoticed."""
    first, again = make_blob("a", 5000, tmp_path / "1"), make_blob("a", 5000, tmp_path / "2")
    assert bytes(first.view()) == bytes(again.view())
    assert len({make_blob(name, 5000, tmp_path).sha256 for name in "abc"}) == 3
    assert first.sha256 == PINNED


PINNED = "eb8dc52d3a7b85536ebc786c6a735aeeb0483e1d4bbd09f9edc4e9736a636a60"


def test_a_view_is_a_slice_without_a_copy(tmp_path: Path) -> None:
    blob = make_blob("a", 1000, tmp_path)
    whole = bytes(blob.view())
    assert bytes(blob.view(10, 20)) == whole[10:20]
    assert bytes(blob.view(990)) == whole[990:]
    assert isinstance(blob.view(), memoryview)


def test_the_file_is_written_once(tmp_path: Path) -> None:
    before = make_blob("a", 1000, tmp_path).path.stat()
    after = make_blob("a", 1000, tmp_path).path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_file_cut_short_is_made_again(tmp_path: Path) -> None:
    blob = make_blob("a", 1000, tmp_path)
    whole = blob.path.read_bytes()
    blob.path.write_bytes(whole[:10])
    assert make_blob("a", 1000, tmp_path).path.read_bytes() == whole


def test_a_file_whose_chunks_are_not_known_is_made_again(tmp_path: Path) -> None:
    """As a scratch folder has it that an older version made."""
    blob = make_blob("a", 1000, tmp_path)
    blob.path.with_name(f"{blob.path.name}.chunks").unlink()
    assert make_blob("a", 1000, tmp_path) == blob


def test_many_may_make_the_same_file_at_once(tmp_path: Path) -> None:
    """Threads and processes; every one gets the right bytes, and no temporary file stays behind."""
    code = "import sys; from fakes.content import make_blob; print(make_blob('a', 3_000_000).sha256)"
    env = {**os.environ, "FAKES_SCRATCH": str(tmp_path)}

    def child(_index: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        hashes = set(pool.map(child, range(4)))
    blob = make_blob("a", 3_000_000, tmp_path)
    assert hashes == {blob.sha256} == {hashlib.sha256(blob.view()).hexdigest()}
    endings = "", ".sha256", ".chunks"
    assert {path.name for path in tmp_path.iterdir()} == {blob.path.name + ending for ending in endings}


def test_a_negative_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        make_blob("a", -1, tmp_path)


def test_the_scratch_folder_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAKES_SCRATCH", str(tmp_path))
    assert scratch_folder() == tmp_path
    monkeypatch.delenv("FAKES_SCRATCH")
    assert scratch_folder().name == f"fallback-fakes-{os.getuid()}"
