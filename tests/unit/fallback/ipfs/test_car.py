"""CARv1: a stream of proven blocks; what is missing shows when the DAG is walked."""

from __future__ import annotations

import io
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs import car, reading, varint
from fallback.ipfs.car import BlocksOf, CarError, MissingBlockError
from fallback.ipfs.cid import IDENTITY, RAW, Cid
from fallback.ipfs.reading import MAX_BLOCK, WrongBlockError
from tests.unit.fallback.ipfs.conftest import Blocks

DATA = bytes(range(256)) * (10 << 10) + b"tail"  # three chunks, all different from the tail


def sections(data: bytes) -> list[tuple[Cid, bytes]]:
    return list(car.read(io.BytesIO(data)))


def read(data: bytes, root: Cid, **options: int) -> bytes:
    return b"".join(reading.file(root, BlocksOf(io.BytesIO(data), **options)))


@pytest.fixture(name="root")
def _root(blocks: Blocks) -> Cid:
    return blocks.file(DATA).cid


def test_what_is_written_is_read(blocks: Blocks, root: Cid) -> None:
    assert dict(sections(blocks.car(root))) == blocks
    assert read(blocks.car(root), root) == DATA


def test_a_known_header() -> None:
    """Of an empty CAR whose root is the empty identity CID, as gateways answer a probe."""
    probe = Cid(1, RAW, IDENTITY, b"")
    data = car.header([probe])
    assert data.hex() == "19a265726f6f747381d82a450001550000" + "6776657273696f6e01"
    assert sections(data) == []


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 1000])
def test_as_many_roots_as_there_are(count: int) -> None:
    """A manifest may have any number of models; the list's head is the shortest there is (dag-cbor)."""
    roots = [Cid.of(str(number).encode(), RAW) for number in range(count)]
    data = car.header(roots)
    assert sections(data) == []
    assert car.roots(io.BytesIO(data)) == tuple(roots)
    assert data.count(b"\xd8\x2a\x58\x25\x00") == count
    heads = {0: "80", 1: "81", 23: "97", 24: "9818", 255: "98ff", 256: "990100", 1000: "9903e8"}
    assert data.partition(b"roots")[2].startswith(bytes.fromhex(heads[count]))


def test_an_identity_cid_needs_no_block_and_proves_one_all_the_same() -> None:
    """It has no place in a CAR (trustless gateway specification); who sends one all the same must send its own bytes."""
    own = Cid(1, RAW, IDENTITY, b"own")
    assert sections(car.header([]) + car.section(own, b"own")) == [(own, b"own")]
    with pytest.raises(WrongBlockError):
        sections(car.header([]) + car.section(own, b"other"))


def test_any_order_is_read(blocks: Blocks, root: Cid) -> None:
    items = list(blocks.items())
    random.Random(7).shuffle(items)
    assert read(Blocks(items).car(root), root) == DATA


def test_blocks_that_nobody_asked_for_are_passed_over_and_counted(blocks: Blocks, root: Cid) -> None:
    other = Blocks()
    other.file(b"something else")
    stream = io.BytesIO(Blocks({**blocks, **other}).car(root))
    source = BlocksOf(stream)
    assert b"".join(reading.file(root, source)) == DATA
    assert source.rest() == len(other)


def test_blocks_that_are_there_twice(blocks: Blocks, root: Cid) -> None:
    body = blocks.car(root)
    assert read(body + body[len(car.header([root])) :], root) == DATA


def test_one_block_for_two_places(blocks: Blocks) -> None:
    """Without duplicates in the CAR, what may come again is kept."""
    data = bytes(3 << 20)
    root = blocks.file(data).cid
    assert len(blocks) == 2
    assert read(blocks.car(root), root) == data


def test_what_is_kept_is_bounded(blocks: Blocks, root: Cid) -> None:
    """In the order of a walk nothing has to be kept; in another, what was given up is missing."""
    parent = blocks.pop(root)
    in_order = Blocks({root: parent, **blocks})
    assert read(in_order.car(root), root, keep=1) == DATA
    with pytest.raises(MissingBlockError):
        read(Blocks({**blocks, root: parent}).car(root), root, keep=1)


def test_a_missing_block_is_named(blocks: Blocks, root: Cid) -> None:
    leaf = next(cid for cid in blocks if cid.codec == RAW)
    del blocks[leaf]
    with pytest.raises(MissingBlockError) as caught:
        read(blocks.car(root), root)
    assert caught.value.cid == leaf


def test_a_cut_between_two_blocks_shows_when_the_dag_is_walked(blocks: Blocks, root: Cid) -> None:
    parent = blocks.pop(root)
    whole = Blocks({root: parent, **blocks}).car(root)
    last = car.section(*list(blocks.items())[-1])
    assert len(sections(whole[: -len(last)])) == len(blocks)  # it looks whole
    with pytest.raises(MissingBlockError):
        read(whole[: -len(last)], root)


@given(st.integers(1, 1 << 20))
def test_a_cut_inside_a_block_is_an_error(cut: int) -> None:
    blocks = Blocks()
    root = blocks.file(b"ab" * (1 << 19)).cid
    data = blocks.car(root)
    with pytest.raises(CarError, match="cut"):
        sections(data[:-cut])


def test_a_wrong_block(blocks: Blocks, root: Cid) -> None:
    data = bytearray(blocks.car(root))
    data[-1] ^= 1
    with pytest.raises(WrongBlockError, match="other bytes"):
        sections(bytes(data))


def test_a_block_over_2_mib(blocks: Blocks) -> None:
    most, more = bytes(MAX_BLOCK), bytes(MAX_BLOCK + 1)
    assert len(sections(car.header([]) + car.section(Cid.of(most, RAW), most))) == 1
    with pytest.raises(WrongBlockError, match="are refused"):
        sections(car.header([]) + car.section(Cid.of(more, RAW), more))


def test_a_length_that_is_absurd_is_not_waited_for() -> None:
    with pytest.raises(CarError, match="a section of"):
        sections(car.header([]) + varint.encode(1 << 40))


def test_bogus_roots_are_not_believed(blocks: Blocks, root: Cid) -> None:
    bogus = Cid.of(b"bogus", RAW)
    assert read(Blocks(blocks).car(bogus), root) == DATA
    assert read(Blocks(blocks).car(), root) == DATA


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"", "empty CAR"),
        (b"\x0a\xa1\x67version\x02", "CARv2"),
        (b"\x0a\xa1\x67version\x01", "no version 1, or no roots"),
        (b"\x01\x80", "no map"),
        (b"\x00", "section of 0 bytes"),
        (b"\x05\xa1", "cut inside a block"),
        (b"\x01\xa1", "cut off"),
        (b"\x01\xbf", "no lengths"),
        (b"\x80", "cut inside a length"),
        (b"\xff" * 9, "more than 9 bytes"),
        (b"\x0d<!DOCTYPE html", "no lengths"),
        (b"\x08" + b"\x81" * 8, "nested too deeply"),
    ],
)
def test_what_is_no_car(start: bytes, why: str) -> None:
    with pytest.raises(CarError, match=why):
        sections(start)


def test_a_block_whose_cid_cannot_be_read() -> None:
    with pytest.raises(CarError, match="CID cannot be read"):
        sections(car.header([]) + b"\x02\x07\x07")


@given(st.binary(max_size=80), st.booleans())
def test_no_bytes_raise_anything_else(data: bytes, with_header: bool) -> None:  # noqa: FBT001 - a case
    try:
        found = sections((car.header([]) if with_header else b"") + data)
    except (CarError, WrongBlockError):
        return
    assert all(cid.proves(block) for cid, block in found)


def test_tiny_blocks_that_nobody_asked_for_do_not_fill_the_memory() -> None:
    """Each costs a dictionary's entry, and an object or two: far more than its bytes."""
    tiny = [number.to_bytes(2, "big") for number in range(20_000)]
    stream = car.header([]) + b"".join(car.section(Cid.of(block, RAW), block) for block in tiny)
    blocks = car.BlocksOf(io.BytesIO(stream), 1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(MissingBlockError):
            blocks(Cid.of(b"never", RAW))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 << 20
