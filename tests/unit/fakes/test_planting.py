"""The DAGs of blobs: the same as from bytes, whatever the shape, and no file is hashed for them a second time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from fakes import content, planting
from fakes.blockstore import Blockstore
from fakes.content import BLOCK, make_blob
from fakes.planting import plant_file, plant_folder
from fallback.ipfs import building
from fallback.ipfs.building import Built
from fallback.ipfs.cid import RAW, Cid
from fallback.ipfs.unixfs import V1_2025

if TYPE_CHECKING:
    from pathlib import Path

NARROW = dataclasses.replace(V1_2025, chunk=8, width=3)


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 bytes, so that a small file has a deep DAG."""
    monkeypatch.setattr(content, "BLOCK", 8)
    monkeypatch.setattr(planting, "BLOCK", 8)


@pytest.mark.parametrize("size", [0, 1, 8, 9, 24, 25, 72, 73, 80, 216, 217, 1000])
def test_a_file_is_built_as_from_its_bytes(size: int, tmp_path: Path, eight: None) -> None:
    """A tail alone on its level is wrapped up to the others' height, too."""
    blob = make_blob("a", size, tmp_path)
    blocks, others = Blockstore(), Blockstore()
    data = bytes(blob.view())
    chunks = [data[at : at + 8] for at in range(0, size, 8)]
    assert plant_file(blob, blocks, NARROW.width) == building.from_chunks(chunks, NARROW, others.put)
    assert {cid: bytes(blocks.view(cid)) for cid in all_cids(others)} == {
        cid: others(cid) for cid in all_cids(others)
    }
    assert len(blocks) == len(others)


def all_cids(blocks: Blockstore) -> list[Cid]:
    return [Cid(1, RAW, *key) for key in blocks._blocks]


def test_leaves_are_views_of_the_file(tmp_path: Path) -> None:
    blob, blocks = make_blob("a", BLOCK + 5, tmp_path), Blockstore()
    plant_file(blob, blocks)
    second = blocks.view(Cid.of(blob.view(BLOCK), RAW))
    assert isinstance(second, memoryview)
    assert second.obj is blob.view().obj


def test_a_large_folder_is_sharded() -> None:
    one = Built(Cid.of(b"1", RAW), 1, 1)
    files = {f"{number:050}": one for number in range(4000)}
    blocks = Blockstore()
    root = plant_folder({f"in/{name}": built for name, built in files.items()}, blocks)
    sharded = building.directory(files, V1_2025)
    assert root == building.directory({"in": sharded}, V1_2025)
    assert sharded.cid in blocks
    assert len(blocks) > 250


def test_a_second_start_hashes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_blob("a", 3 * BLOCK, tmp_path)
    blob = make_blob("a", 3 * BLOCK, tmp_path)
    hashed: list[int] = []
    of = Cid.of.__func__  # type: ignore[attr-defined]  # the function below the classmethod

    def counted(cls: type[Cid], /, block: bytes, *arguments: int, **options: int) -> Cid:
        hashed.append(len(block))
        made: Cid = of(cls, block, *arguments, **options)
        return made

    monkeypatch.setattr(Cid, "of", classmethod(counted))
    plant_file(blob, Blockstore())
    assert [size < 1000 for size in hashed] == [True]
