"""Bytes into blocks: files in a balanced DAG, directories in one block or, too large for it, sharded.

Constant memory: a block leaves as soon as it is full, and of a file no more is kept than the links
of one open node a level. A `sink` gets every block, children before their parents. Exclusions: no
folder is walked here, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from fallback.ipfs import dagpb, hamt
from fallback.ipfs.cid import DAG_PB, RAW, Cid
from fallback.ipfs.dagpb import Link, Node
from fallback.ipfs.unixfs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fallback.ipfs.unixfs import Profile

Sink = Callable[[Cid, bytes], None]
"""Takes a block and the CID that names it."""


@dataclass(frozen=True, slots=True)
class Built:
    """A DAG: its root, the bytes of its blocks in all (`tsize`), and the bytes of the file."""

    cid: Cid
    tsize: int
    size: int = 0


def nowhere(_cid: Cid, _block: bytes) -> None:
    """A sink for whoever wants the CID alone."""


def file(stream: BinaryIO, profile: Profile, sink: Sink = nowhere) -> Built:
    """The file in `stream`, to its end."""
    return from_chunks(_chunks(stream, profile.chunk), profile, sink)


def from_chunks(chunks: Iterable[bytes], profile: Profile, sink: Sink = nowhere) -> Built:
    """The file in `chunks`, each of the profile's size but the last."""
    levels: list[list[Built]] = [[]]
    for chunk in chunks:
        levels[0].append(leaf(chunk, profile, sink))
        _wrap_full(levels, profile, sink)
    if levels == [[]]:
        return leaf(b"", profile, sink)
    # A tail that is alone on its level is wrapped up to the others' height all the same.
    for height in range(len(levels)):
        above = any(levels[height + 1 :])
        if not above and len(levels[height]) == 1:
            return levels[height][0]
        if levels[height]:
            if height + 1 == len(levels):
                levels.append([])
            levels[height + 1].append(_inner(levels[height], profile, sink))
    return levels[-1][0]


def directory(entries: Mapping[str, Built], profile: Profile, sink: Sink = nowhere) -> Built:
    """The directory of `entries` by name; sharded if it is too large for the profile."""
    links = [Link(entry.cid, name, entry.tsize) for name, entry in entries.items()]
    links.sort(key=lambda link: _name(link).encode("utf-8", "surrogateescape"))
    block = dagpb.encode(Node(tuple(links), Entry(Kind.DIRECTORY).encode()))
    if _size(links, block, profile) > profile.shard_over:
        return _built(*hamt.build(links, profile, sink))
    cid = Cid.of(block, DAG_PB, version=profile.cid_version)
    sink(cid, block)
    return Built(cid, len(block) + sum(link.tsize or 0 for link in links))


def _size(links: list[Link], block: bytes, profile: Profile) -> int:
    if profile.by_block_size:
        return len(block)
    return sum(len(_name(link).encode("utf-8", "surrogateescape")) + len(link.cid.encode()) for link in links)


def _name(link: Link) -> str:
    return link.name or ""


def _built(cid: Cid, tsize: int) -> Built:
    return Built(cid, tsize)


def _chunks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while chunk := stream.read(size):
        while len(chunk) < size and (more := stream.read(size - len(chunk))):
            chunk += more  # a raw stream may give less than it has
        yield chunk


def leaf(chunk: bytes, profile: Profile, sink: Sink = nowhere) -> Built:
    """The block of one chunk of a file, or of all of a file that has no more."""
    if profile.raw_leaves:
        block, codec = chunk, RAW
    else:
        block, codec = dagpb.encode(Node(data=Entry(Kind.FILE, chunk or None, len(chunk)).encode())), DAG_PB
    cid = Cid.of(block, codec, version=profile.cid_version)
    sink(cid, block)
    return Built(cid, len(block), len(chunk))


def _wrap_full(levels: list[list[Built]], profile: Profile, sink: Sink) -> None:
    """Close nodes that are full, from the leaves up."""
    height = 0
    while len(levels[height]) == profile.width:
        node = _inner(levels[height], profile, sink)
        levels[height] = []
        height += 1
        if height == len(levels):
            levels.append([])
        levels[height].append(node)


def _inner(children: list[Built], profile: Profile, sink: Sink) -> Built:
    size = sum(child.size for child in children)
    entry = Entry(Kind.FILE, size=size, block_sizes=tuple(child.size for child in children))
    links = tuple(Link(child.cid, "", child.tsize) for child in children)
    block = dagpb.encode(Node(links, entry.encode()))
    cid = Cid.of(block, DAG_PB, version=profile.cid_version)
    sink(cid, block)
    return Built(cid, len(block) + sum(child.tsize for child in children), size)
