"""The CID of a file or folder: what is in it, in constant memory, and nothing that does not belong."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from fallback.errors import ManifestError, StorageError
from fallback.ipfs import building, reading
from fallback.ipfs.unixfs import V0_2015, V1_2025
from fallback.publish import tree
from tests.unit.fallback.ipfs.conftest import Blocks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    for name, data in {"b": b"x", "onnx/a": b"y" * 3_000_000, "onnx/deep/c": b""}.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (made / "empty").mkdir()
    return made


def test_a_folder_s_blocks_hold_all_of_it(folder: Path) -> None:
    blocks = Blocks()
    made = tree.of_path(folder, V1_2025, blocks.put)
    assert sorted(made.files) == ["b", "onnx/a", "onnx/deep/c"]
    for name, built in made.files.items():
        cid = reading.resolve(made.root.cid, name, blocks)
        assert cid == built.cid
        assert b"".join(reading.file(cid, blocks)) == (folder / name).read_bytes()
    assert list(reading.entries(reading.resolve(made.root.cid, "empty", blocks), blocks)) == []


def test_several_at_a_time_make_the_same(folder: Path) -> None:
    assert tree.of_path(folder, V1_2025) == tree.of_path(folder, V1_2025, Blocks().put)


def test_a_file_is_its_own_root(folder: Path) -> None:
    made = tree.of_path(folder / "b", V0_2015)
    assert made.root == made.files[""] == building.file(io.BytesIO(b"x"), V0_2015)


def test_hidden_names_and_our_own_are_left_out(folder: Path) -> None:
    before = tree.of_path(folder, V1_2025).root.cid
    (folder / ".hidden").write_text("x")
    (folder / "b.bak").write_text("x")
    (folder / ".git").mkdir()
    made = tree.of_path(folder, V1_2025)
    assert (made.root.cid, made.left_out) == (before, (".git", ".hidden", "b.bak"))


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(ManifestError, match="symbolic link out of the folder"):
        tree.of_path(folder, V1_2025)


def test_what_is_neither_file_nor_folder_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="neither a file nor a folder"):
        tree.of_path(tmp_path / "pipe", V1_2025)


def test_a_file_that_grows_while_it_is_read_has_no_cid_and_an_end(folder: Path) -> None:
    def sink(*_: object) -> None:
        with (folder / "onnx/a").open("ab") as stream:
            stream.write(b"more")

    with pytest.raises(StorageError, match="changed while it was read"):
        tree.of_path(folder, V1_2025, sink)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "b").chmod(0)
    with pytest.raises(StorageError, match="b: Permission denied"):
        tree.of_path(folder, V1_2025)


def test_folders_may_be_deeper_than_python_recurses(deep: Path) -> None:
    made = tree.of_path(deep, V1_2025)
    assert list(made.files) == ["a/" * 1499 + "x"]
    expected = made.files["a/" * 1499 + "x"]
    expected = building.directory({"x": expected}, V1_2025, building.nowhere)
    for _ in range(1499):
        expected = building.directory({"a": expected}, V1_2025, building.nowhere)
    assert made.root == expected
