"""Chunks: what a manifest's list, or a CID's leaves, prove of which bytes."""

from __future__ import annotations

import hashlib
import io
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.chunks import Chunk, of_file, of_leaves, rechunked, runs, with_proofs
from fallback.ipfs import building, reading
from fallback.ipfs.cid import DAG_PB, RAW, Cid
from fallback.ipfs.reading import Leaf
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015, V1_2025
from fallback.manifest import CHUNK_BYTES, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.ipfs.unixfs import Profile

DATA = bytes(range(256)) * 10_000  # 2.44 MiB


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]


def test_proofs_are_those_of_the_bytes() -> None:
    """One computation for the CID and its chunks, as DESIGN has it."""
    file = with_proofs(File("a", None, None), pieces(DATA))
    assert (file.size, file.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert file.chunks == tuple(hashlib.sha256(piece).hexdigest() for piece in pieces(DATA))
    assert file.cid == str(building.file(io.BytesIO(DATA), V1_2025).cid)


@pytest.mark.parametrize("data", [b"", b"x", bytes(CHUNK_BYTES)], ids=["empty", "small", "one chunk"])
def test_a_file_of_one_chunk_needs_no_list(data: bytes) -> None:
    file = with_proofs(File("a", None, None), pieces(data))
    assert file.chunks == ()
    assert file.cid == str(Cid.of(data, RAW))


def test_the_list_of_a_file_covers_it() -> None:
    file = with_proofs(File("a", None, None), pieces(DATA))
    chunks = of_file(file)
    assert b"".join(DATA[chunk.start : chunk.stop] for chunk in chunks) == DATA
    assert all(chunk.is_of(DATA[chunk.start : chunk.stop]) for chunk in chunks)
    assert not chunks[0].is_of(DATA[1 : CHUNK_BYTES + 1])
    assert of_file(File("a", 5, "0" * 64)) == ()


@pytest.mark.parametrize("profile", [V1_2025, KUBO_CID_V1], ids=lambda profile: profile.name)
def test_raw_leaves_are_chunks_whatever_their_size(profile: Profile) -> None:
    blocks: dict[Cid, bytes] = {}
    built = building.file(io.BytesIO(DATA), profile, blocks.__setitem__)
    chunks = of_leaves(reading.leaves(built.cid, blocks.__getitem__), len(DATA))
    assert chunks
    assert all(chunk.is_of(DATA[chunk.start : chunk.stop]) for chunk in chunks)
    assert runs(chunks) == [(0, len(DATA))]


def test_leaves_that_prove_other_things_prove_nothing() -> None:
    """Leaves of dag-pb are hashes of more than the bytes; a list must be of this size, and of blocks that can be."""
    blocks: dict[Cid, bytes] = {}
    built = building.file(io.BytesIO(DATA), V0_2015, blocks.__setitem__)
    assert of_leaves(reading.leaves(built.cid, blocks.__getitem__), len(DATA)) == ()
    raw = Cid.of(b"x", RAW)
    assert of_leaves([Leaf(0, 5, raw)], 6) == ()
    assert of_leaves([Leaf(0, 5, raw)], 5)
    assert of_leaves([Leaf(0, 3 << 20, raw)], 3 << 20) == ()
    assert of_leaves([Leaf(0, 0, raw)], 0) == ()
    assert of_leaves([Leaf(0, 5, Cid.of(b"x", DAG_PB))], 5) == ()
    assert of_leaves([Leaf(0, 5, raw)], None) == ()
    assert of_leaves([Leaf(0, 2, raw), Leaf(3, 2, raw)], 5) == (), "a gap"
    assert of_leaves([Leaf(0, 3, raw), Leaf(2, 3, raw)], 5) == (), "an overlap"


def test_a_list_without_end_is_left() -> None:
    """Nodes that all lead to one and the same cost their maker nothing, and must not cost us our memory."""
    asked: list[int] = []

    def endless() -> Iterator[Leaf]:
        for at in count():
            asked.append(at)
            yield Leaf(at, 1, Cid.of(b"x", RAW))

    assert of_leaves(endless(), 10) == ()
    assert len(asked) == 11


def test_neighbours_are_one_run() -> None:
    def chunk(start: int, stop: int) -> Chunk:
        return Chunk(start, stop, b"")

    assert runs([]) == []
    assert runs([chunk(0, 2), chunk(2, 4), chunk(6, 8), chunk(8, 9), chunk(20, 21)]) == [
        (0, 4),
        (6, 9),
        (20, 21),
    ]


@given(st.lists(st.integers(0, CHUNK_BYTES * 2), max_size=5))
def test_pieces_of_any_size_become_chunks(sizes: list[int]) -> None:
    made = list(rechunked(bytes(size) for size in sizes))
    assert sum(map(len, made)) == sum(sizes)
    assert all(len(piece) == CHUNK_BYTES for piece in made[:-1])
    assert all(made)


def test_a_list_of_countless_tiny_chunks_is_none() -> None:
    """Whoever made the CID could have us keep hundreds of bytes for each byte of the file."""
    taken = 0

    def leaves() -> Iterator[Leaf]:
        nonlocal taken
        for start in range(10_000_000):
            taken = start
            yield Leaf(start, 1, Cid.of(b"x", RAW))

    assert of_leaves(leaves(), 10_000_000) == ()
    assert taken < 10_000
    assert of_leaves((Leaf(start, 1, Cid.of(b"x", RAW)) for start in range(10)), 3) == ()
