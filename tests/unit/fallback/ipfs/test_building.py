"""Bytes into blocks: the DAG's shape, and that nothing but one block and open nodes is kept."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs import building, dagpb, reading
from fallback.ipfs.building import Built
from fallback.ipfs.cid import RAW
from fallback.ipfs.hamt import murmur3_64
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015, V1_2025
from tests.unit.fallback.ipfs.conftest import Blocks

if TYPE_CHECKING:
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.unixfs import Profile

SMALL = replace(V1_2025, chunk=4, width=3, shard_over=200)
OLD = replace(V0_2015, chunk=4, width=3, shard_over=200)


@pytest.mark.parametrize("profile", [SMALL, OLD], ids=["v1", "v0"])
@given(data=st.binary(max_size=300))
def test_a_file_comes_back(profile: Profile, data: bytes) -> None:
    blocks = Blocks()
    built = blocks.file(data, profile)
    assert b"".join(reading.file(built.cid, blocks)) == data
    assert built.size == len(data)
    leaves = list(reading.leaves(built.cid, blocks))
    assert [leaf.start for leaf in leaves] == list(range(0, max(1, len(data)), 4))
    assert sum(leaf.size for leaf in leaves) == len(data)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 10, 27, 28, 30])
def test_the_dag_is_balanced(blocks: Blocks, count: int) -> None:
    """Every leaf is as deep as every other: a tail alone on its level is wrapped up to it."""
    built = blocks.file(bytes(range(4 * count)), SMALL)

    def depths(cid: Cid) -> set[int]:
        if cid.codec == RAW:
            return {0}
        links = dagpb.decode(blocks[cid]).links
        assert 1 <= len(links) <= 3
        return {1 + depth for link in links for depth in depths(link.cid)}

    expected = next(depth for depth in range(9) if 3**depth >= count)
    assert depths(built.cid) == {expected}


@pytest.mark.parametrize("profile", [SMALL, OLD], ids=["v1", "v0"])
@given(
    names=st.lists(
        st.text(min_size=1, max_size=8).filter(
            lambda name: name not in {".", ".."} and not {*name} & {"/", "\0"} and name.isprintable()
        ),
        unique=True,
        max_size=40,
    )
)
def test_a_directory_comes_back(profile: Profile, names: list[str]) -> None:
    """Sharded or not; in any order of its entries the same."""
    blocks = Blocks()
    entries = {name: blocks.file(name.encode(), profile) for name in names}
    root = building.directory(entries, profile, blocks.put)
    found = {link.name: (link.cid, link.tsize) for link in reading.entries(root.cid, blocks)}
    assert found == {name: (built.cid, built.tsize) for name, built in entries.items()}
    assert building.directory(dict(reversed(entries.items())), profile).cid == root.cid
    for name, built in entries.items():
        assert reading.resolve(root.cid, name, blocks) == built.cid
    with pytest.raises(reading.MissingLinkError):
        reading.resolve(root.cid, "no such name", blocks)


def test_tsize_is_the_bytes_of_all_blocks(blocks: Blocks) -> None:
    """As long as none is there twice."""
    one, two = blocks.file(bytes(range(100)), SMALL), blocks.file(bytes(range(100, 130)), SMALL)
    root = building.directory({"a": one, "b": two}, SMALL, blocks.put)
    assert root.tsize == sum(map(len, blocks.values()))


def test_names_are_sorted_by_their_bytes(blocks: Blocks) -> None:
    """As text U+FFFF comes before U+10000; in UTF-8 too, and only in UTF-16 not."""
    names = ["\U00010000", "\uffff", "b", "a", "B", "a.b", "a/"[:1] + "-"]
    one = blocks.file(b"")
    root = building.directory(dict.fromkeys(names, one), V1_2025, blocks.put)
    links = dagpb.decode(blocks[root.cid]).links
    assert [link.name for link in links] == sorted(names, key=str.encode)


def test_known_ones() -> None:
    """Published by others, and the same in every implementation."""
    assert (
        str(building.file(io.BytesIO(), V1_2025).cid)
        == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    )
    assert str(building.file(io.BytesIO(), V0_2015).cid) == "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
    assert str(building.file(io.BytesIO(b"hello world"), KUBO_CID_V1).cid).startswith("bafkreifzjut3te2")


def test_murmur3() -> None:
    """Of the reference implementation, for every length of a tail."""
    assert [murmur3_64(b"a" * size) for size in (0, 1)] == [0, 0x85555565F6597889]
    assert murmur3_64(b"hello") == 0xCBD8A7B341BD9B02
    assert murmur3_64(b"The quick brown fox jumps over the lazy dog") == 0xE34BBC7BBC071B6C


def test_memory_is_constant() -> None:
    """200 MB in at most a few chunks."""

    class Zeros(io.RawIOBase):
        left = 200

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return bytes(size) if self.left >= 0 else b""

    tracemalloc.start()
    built = building.file(Zeros(), V1_2025)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert built.size == 200 << 20
    assert peak < 8 << 20


def test_a_stream_that_gives_less_than_asked_makes_the_same_chunks() -> None:
    class Drips(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 3))

    data = bytes(range(100))
    assert building.file(Drips(data), SMALL) == building.file(io.BytesIO(data), SMALL)
    assert isinstance(building.file(io.BytesIO(data), SMALL), Built)
