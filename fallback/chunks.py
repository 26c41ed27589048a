"""The chunks of a file: which bytes of it each SHA-256 proves. Pure.

A manifest's list has a digest for each MiB, which are the leaves of a `unixfs-v1-2025` CID (DESIGN,
Chunks); the list that another CID proves may have chunks of other sizes. Exclusions: no list is
fetched here (`proofs`) and none is read from disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from fallback.ipfs import building
from fallback.ipfs.cid import RAW, SHA2_256
from fallback.ipfs.unixfs import V1_2025
from fallback.manifest import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fallback.ipfs.cid import Cid
    from fallback.ipfs.reading import Leaf
    from fallback.manifest import File

MAX_CHUNK = 2 << 20
"""Bytes of a chunk at most: it is proven in memory before it is written. No block of IPFS is larger."""

MIN_CHUNK, MAX_TINY = 4096, 1024
"""A list of more chunks than one for so many bytes, and so many besides, is not worth its memory, whoever made it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes `start` <= b < `stop` of a file, and their SHA-256 (32 bytes)."""

    start: int
    stop: int
    digest: bytes

    def is_of(self, data: bytes | bytearray | memoryview) -> bool:
        """Whether `data` are these bytes."""
        return hashlib.sha256(data).digest() == self.digest


Chunks = tuple[Chunk, ...]
"""Of one file, in order and without gaps; empty if nobody knows them."""


def of_file(file: File) -> Chunks:
    """What the manifest has, or was told by an earlier run."""
    if not file.chunks or file.size is None:
        return ()
    size = file.size
    return tuple(
        Chunk(start, min(start + CHUNK_BYTES, size), bytes.fromhex(digest))
        for start, digest in zip(range(0, size, CHUNK_BYTES), file.chunks, strict=True)
    )


def of_leaves(leaves: Iterable[Leaf], size: int | None) -> Chunks:
    """What a CID's leaves prove: nothing unless they are raw bytes, without gaps, and `size` of them in all.

    They are followed no further than that: a DAG that leads to the same node again and again has no end.
    """
    found: list[Chunk] = []
    end = 0
    for leaf in leaves:
        fits = leaf.start == end and 0 < leaf.size <= MAX_CHUNK and end + leaf.size <= (size or 0)
        if not fits or (leaf.cid.codec, leaf.cid.hash) != (RAW, SHA2_256):
            return ()
        if len(found) > MAX_TINY + (size or 0) // MIN_CHUNK:
            return ()
        end += leaf.size
        found.append(Chunk(leaf.start, end, leaf.cid.digest))
    return tuple(found) if end == size else ()


def with_proofs(file: File, pieces: Iterable[bytes]) -> File:
    """`file` with size, SHA-256, CID (`unixfs-v1-2025`) and chunks of these bytes, each piece a chunk but the last.

    Of a file of one chunk the SHA-256 is the chunk's, and no list is given.
    """
    whole, leaves = hashlib.sha256(), list[str]()

    def passed() -> Iterator[bytes]:
        for piece in pieces:
            whole.update(piece)
            yield piece

    def keep(cid: Cid, _block: bytes) -> None:
        if cid.codec == RAW:
            leaves.append(cid.digest.hex())

    built = building.from_chunks(passed(), V1_2025, keep)
    chunks = tuple(leaves) if len(leaves) > 1 else ()
    return replace(file, size=built.size, sha256=whole.hexdigest(), cid=str(built.cid), chunks=chunks)


def rechunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one chunk, the last one smaller."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


def runs(chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    """The stretches (start, stop) that chunks in order make up: neighbours are one."""
    ends = [chunk.stop for chunk, after in pairwise(chunks) if chunk.stop != after.start] + [
        chunk.stop for chunk in chunks[-1:]
    ]
    starts = [chunk.start for chunk in chunks[:1]] + [
        after.start for chunk, after in pairwise(chunks) if chunk.stop != after.start
    ]
    return list(zip(starts, ends, strict=True))
