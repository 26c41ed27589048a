"""Hostile DAGs: proven block by block, bounded, and never believed."""

from __future__ import annotations

import pytest

from fallback.ipfs import building, dagpb, reading
from fallback.ipfs.cid import DAG_PB, IDENTITY, RAW, Cid
from fallback.ipfs.dagpb import Link, Node
from fallback.ipfs.reading import MAX_BLOCK, DagError, WrongBlockError
from fallback.ipfs.unixfs import MURMUR3, V1_2025, Entry, Kind
from tests.unit.fallback.ipfs.conftest import Blocks

SIZE = 3 << 20


def put(blocks: Blocks, entry: Entry, *links: Link) -> Cid:
    block = dagpb.encode(Node(links, entry.encode()))
    cid = Cid.of(block, DAG_PB)
    blocks[cid] = block
    return cid


def raw(blocks: Blocks, data: bytes) -> Cid:
    cid = Cid.of(data, RAW)
    blocks[cid] = data
    return cid


def refused(blocks: Blocks, cid: Cid, why: str) -> None:
    with pytest.raises(DagError, match=why):
        for _ in reading.file(cid, blocks):
            pass


def test_one_wrong_bit_names_the_block(blocks: Blocks) -> None:
    """What was proven before is given; the wrong chunk is not."""
    root = blocks.file(bytes(SIZE)[:-1] + b"x").cid
    leaf = dagpb.decode(blocks[root]).links[2].cid
    blocks[leaf] = bytes(1 << 20)
    given = []
    with pytest.raises(WrongBlockError) as caught:
        given += list(reading.file(root, blocks))
    assert caught.value.cid == leaf
    pieces = reading.file(root, blocks)
    assert [len(next(pieces)) for _ in range(2)] == [1 << 20] * 2


def test_a_block_over_2_mib_is_refused_before_it_is_hashed(blocks: Blocks) -> None:
    refused(blocks, raw(blocks, bytes(MAX_BLOCK + 1)), "more than 2097152 are refused")
    assert b"".join(reading.file(raw(blocks, bytes(MAX_BLOCK)), blocks)) == bytes(MAX_BLOCK)


def test_identity_cids_are_their_own_blocks(blocks: Blocks) -> None:
    cid = Cid(1, RAW, IDENTITY, b"inline")
    assert b"".join(reading.file(cid, blocks)) == b"inline"
    parent = put(blocks, Entry(Kind.FILE, size=6, block_sizes=(6,)), Link(cid, "", 6))
    assert b"".join(reading.file(parent, blocks)) == b"inline"


def test_sizes_that_are_not_so(blocks: Blocks) -> None:
    leaf = raw(blocks, b"abc")
    refused(
        blocks, put(blocks, Entry(Kind.FILE, size=4, block_sizes=(4,)), Link(leaf, "", 3)), "not the 4 bytes"
    )
    refused(
        blocks,
        put(blocks, Entry(Kind.FILE, size=9, block_sizes=(3,)), Link(leaf, "", 3)),
        "not that of its parts",
    )
    refused(blocks, put(blocks, Entry(Kind.FILE, size=3), Link(leaf, "", 3)), "1 links and 0 sizes")


def test_kinds_that_are_no_file(blocks: Blocks) -> None:
    refused(blocks, put(blocks, Entry(Kind.SYMLINK, b"/etc/passwd")), "a symlink where a file")
    refused(blocks, put(blocks, Entry(Kind.DIRECTORY)), "a directory where a file")
    refused(blocks, put(blocks, Entry(Kind.METADATA)), "a metadata where a file")
    link = put(blocks, Entry(Kind.SYMLINK, b"x"))
    refused(
        blocks, put(blocks, Entry(Kind.FILE, size=1, block_sizes=(1,)), Link(link, "", 1)), "a symlink where"
    )


def test_a_deep_dag_ends(blocks: Blocks) -> None:
    """Every level halves nothing: 40 nodes in a chain."""
    cid, size = raw(blocks, b"abc"), 3
    for _ in range(40):
        cid = put(blocks, Entry(Kind.FILE, size=size, block_sizes=(size,)), Link(cid, "", size))
    refused(blocks, cid, "more than 32 deep")
    with pytest.raises(DagError, match="more than 32 deep"):
        list(reading.leaves(cid, blocks))


def test_nodes_that_hold_bytes_and_have_links_too(blocks: Blocks) -> None:
    """Allowed by the specification, made by nobody; such a file has no list of chunks."""
    leaf = raw(blocks, b"def")
    cid = put(blocks, Entry(Kind.FILE, b"abc", 6, (3,)), Link(leaf, "", 3))
    assert b"".join(reading.file(cid, blocks)) == b"abcdef"
    with pytest.raises(DagError, match="holds bytes"):
        list(reading.leaves(cid, blocks))


def test_leaves_are_listed_without_fetching_one(blocks: Blocks) -> None:
    built = blocks.file(bytes(SIZE) + b"tail")
    only_root = Blocks({built.cid: blocks[built.cid]})
    leaves = list(reading.leaves(built.cid, only_root))
    assert [(leaf.start, leaf.size) for leaf in leaves] == [
        (0, 1 << 20),
        (1 << 20, 1 << 20),
        (2 << 20, 1 << 20),
        (3 << 20, 4),
    ]
    assert all(leaf.cid.codec == RAW for leaf in leaves)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0"])
def test_names_that_lead_elsewhere(blocks: Blocks, name: str) -> None:
    cid = put(blocks, Entry(Kind.DIRECTORY), Link(raw(blocks, b""), name, 0))
    with pytest.raises(DagError, match="an entry called"):
        list(reading.entries(cid, blocks))


def test_two_entries_of_one_name(blocks: Blocks) -> None:
    leaf = Link(raw(blocks, b""), "a", 0)
    with pytest.raises(DagError, match="two entries"):
        list(reading.entries(put(blocks, Entry(Kind.DIRECTORY), leaf, leaf), blocks))


def test_paths(blocks: Blocks) -> None:
    leaf = blocks.file(b"x")
    inner = building.directory({"b": leaf}, V1_2025, blocks.put)
    root = building.directory({"a": inner}, V1_2025, blocks.put)
    assert reading.resolve(root.cid, "/a/b/", blocks) == leaf.cid
    assert reading.resolve(root.cid, "", blocks) == root.cid
    with pytest.raises(DagError, match="where a directory was expected"):
        reading.resolve(root.cid, "a/b/c", blocks)
    with pytest.raises(DagError, match="more than 32 names"):
        reading.resolve(root.cid, "a/" * 33, blocks)


SHARDS = [
    (Entry(Kind.SHARD, b"\x01", hash=MURMUR3, fanout=100), "fanout 100"),
    (Entry(Kind.SHARD, b"\x01", hash=MURMUR3, fanout=2048), "fanout 2048"),
    (Entry(Kind.SHARD, b"\x01", hash=MURMUR3), "fanout 0"),
    (Entry(Kind.SHARD, b"\x01", hash=0x12, fanout=256), "not known"),
]


@pytest.mark.parametrize(("entry", "why"), SHARDS)
def test_shards_of_a_kind_that_is_not_known(blocks: Blocks, entry: Entry, why: str) -> None:
    cid = put(blocks, entry)
    with pytest.raises(DagError, match=why):
        list(reading.entries(cid, blocks))
    with pytest.raises(DagError, match=why):
        reading.resolve(cid, "a", blocks)


def test_a_shard_without_end_ends_with_its_hash(blocks: Blocks) -> None:
    """Eight bits a level: after 8 levels there is nothing left to tell two names apart."""
    shard = Entry(Kind.SHARD, b"\x01", hash=MURMUR3, fanout=256)
    cid = put(blocks, shard)
    for _ in range(9):
        cid = put(blocks, shard, Link(cid, "00", 0))
    with pytest.raises(DagError, match="deeper than its hash"):
        list(reading.entries(cid, blocks))


def test_an_entry_of_a_shard_without_its_slot(blocks: Blocks) -> None:
    cid = put(blocks, Entry(Kind.SHARD, b"\x01", hash=MURMUR3, fanout=256), Link(raw(blocks, b""), "a", 0))
    with pytest.raises(DagError, match="without its slot"):
        list(reading.entries(cid, blocks))


def test_what_is_no_node(blocks: Blocks) -> None:
    block = b"\xff\xff"
    cid = Cid.of(block, DAG_PB)
    blocks[cid] = block
    refused(blocks, cid, "cut off")
    empty = Cid.of(b"", DAG_PB)
    blocks[empty] = b""
    refused(blocks, empty, "no UnixFS entry")


def doubled(blocks: Blocks, size: int, levels: int) -> tuple[Cid, int]:
    """A node of `levels` levels, each with the one below twice; at the bottom `size` bytes."""
    cid = put(blocks, Entry(Kind.FILE, data=bytes(size)))
    for _ in range(levels):
        cid = put(
            blocks, Entry(Kind.FILE, block_sizes=(size, size)), Link(cid, "", size), Link(cid, "", size)
        )
        size *= 2
    return cid, size


def test_nodes_that_hold_nothing_are_not_followed(blocks: Blocks) -> None:
    """Thirty blocks can be a thousand million nodes of no bytes, and one byte can stand before them."""
    nothing, _ = doubled(blocks, 0, 30)
    root = put(blocks, Entry(Kind.FILE, data=b"x", block_sizes=(0,)), Link(nothing, "", 0))
    assert b"".join(reading.file(root, blocks)) == b"x"
    assert list(reading.leaves(nothing, blocks)) == []


def test_leaves_of_a_node_that_is_not_as_large_as_its_parent_says(blocks: Blocks) -> None:
    inner, size = doubled(blocks, 1, 4)
    root = put(blocks, Entry(Kind.FILE, block_sizes=(1,)), Link(inner, "", size))
    with pytest.raises(DagError, match="parent says"):
        list(reading.leaves(root, blocks))
