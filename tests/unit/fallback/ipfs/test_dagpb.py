"""dag-pb: links first when written, either order when read, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs import dagpb, unixfs
from fallback.ipfs.cid import RAW, Cid
from fallback.ipfs.dagpb import Link, Node, NodeError
from fallback.ipfs.unixfs import Entry, Kind

CID = Cid.of(b"x", RAW)
HASH = b"\x0a\x24" + CID.encode()
LINKS = st.builds(
    Link,
    st.builds(Cid.of, st.binary(max_size=3), st.just(RAW)),
    st.none() | st.text(),
    st.none() | st.integers(0, 1 << 60),
)


def sized(key: int, data: bytes) -> bytes:
    return bytes([key, len(data)]) + data


@given(st.lists(LINKS, max_size=5), st.none() | st.binary())
def test_what_is_written_is_read(links: list[Link], data: bytes | None) -> None:
    node = Node(tuple(links), data)
    assert dagpb.decode(dagpb.encode(node)) == node


def test_links_stand_before_data() -> None:
    node = Node((Link(CID, "", 1),), b"d")
    link = sized(0x12, HASH + b"\x12\x00\x18\x01")
    assert dagpb.encode(node) == link + b"\x0a\x01d"
    assert dagpb.decode(b"\x0a\x01d" + link) == node  # IPIP-550


LINK = sized(0x12, HASH)


@pytest.mark.parametrize(
    "block",
    [
        LINK + b"\x0a\x01d" + LINK,
        b"\x0a\x01d\x0a\x01d",
        b"\x0a\x01d" + LINK + b"\x0a\x01d",
        b"\x1a\x01d",
        b"\x08\x01",
        b"\x0d\x00\x00\x00\x00",
        LINK[:-1],
        sized(0x12, HASH + HASH),
        sized(0x12, b"\x12\x00" + HASH),
        sized(0x12, b"\x12\x01a"),
        sized(0x12, HASH + b"\x18\x01\x18\x01"),
        sized(0x12, HASH + b"\x20\x01"),
        sized(0x12, b"\x0a\x25" + CID.encode() + b"x"),
        sized(0x12, b"\x0a\x01x"),
        sized(0x12, b"\x08\x01"),
        b"\x0a",
        b"\x8a\x00\x01d",
    ],
)
def test_what_is_no_node(block: bytes) -> None:
    with pytest.raises(NodeError):
        dagpb.decode(block)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        node = dagpb.decode(data)
    except NodeError:
        return
    assert dagpb.decode(dagpb.encode(node)) == node


def test_a_name_that_is_no_utf8_comes_back_as_it_was() -> None:
    block = sized(0x12, HASH + b"\x12\x02\xff\xfe")
    assert dagpb.encode(dagpb.decode(block)) == block


@given(
    st.builds(
        Entry,
        st.sampled_from(Kind),
        st.none() | st.binary(),
        st.none() | st.integers(0, 1 << 60),
        st.lists(st.integers(0, 1 << 60)).map(tuple),
        st.none() | st.just(0x22),
        st.none() | st.just(256),
    )
)
def test_a_unixfs_entry_comes_back(entry: Entry) -> None:
    assert unixfs.decode(entry.encode()) == entry


def test_unixfs_s_fields_as_others_write_them() -> None:
    """Packed sizes; a mode and a time of change, which are passed over."""
    assert unixfs.decode(b"\x08\x02\x22\x02\x05\x06").block_sizes == (5, 6)
    assert unixfs.decode(b"\x08\x01\x38\xa4\x03\x42\x02\x08\x05") == Entry(Kind.DIRECTORY)


@pytest.mark.parametrize(
    "data", [b"", b"\x08\x09", b"\x18\x01", b"\x0a\x00", b"\x08\x02\x22\x01\x80", b"\x08\x02\x1a\x00"]
)
def test_no_unixfs_entry(data: bytes) -> None:
    with pytest.raises(NodeError):
        unixfs.decode(data)


@given(st.binary(max_size=40))
def test_no_data_raises_anything_else(data: bytes) -> None:
    try:
        entry = unixfs.decode(data)
    except NodeError:
        return
    assert unixfs.decode(entry.encode()) == entry
