"""Blocks into bytes: files and directories out of a DAG, each block proven by the CID that names it.

Blocks come from anywhere (`Blocks`), and are believed only as far as their CIDs prove them. A CID
cannot lead back to itself, but a hostile DAG can be deep, say sizes that are not so, or hold one
huge block: depth, sizes and blocks are bounded. Exclusions: symbolic links are refused, for nobody
may name a path that way (P8); nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback.ipfs import dagpb, hamt, unixfs
from fallback.ipfs.cid import IDENTITY, RAW, Cid
from fallback.ipfs.dagpb import Link, NodeError
from fallback.ipfs.unixfs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

Blocks = Callable[[Cid], bytes]
"""Fetches the block of a CID; whatever it gives is proven here. What it raises passes through."""

MAX_BLOCK = 2 << 20
"""Bytes of a block at most (trustless gateway specification)."""

MAX_DEPTH = 32
"""Of a file's nodes: at width 2 that is more than any file has; of a path, as many names."""


class DagError(ValueError):
    """A DAG that is not what its CIDs or its nodes say; `cid` is the block where it shows."""

    def __init__(self, cid: Cid, what: str) -> None:
        self.cid = cid
        super().__init__(f"{cid}: {what}")


class WrongBlockError(DagError):
    """Bytes that are not the block they were asked for: whoever sent them is to blame."""


class TooLargeError(WrongBlockError):
    """A block that is larger than is taken: nobody looked whether it is what its CID says."""


class MissingLinkError(DagError):
    """A directory has no entry of this name."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A block, proven and understood."""

    cid: Cid
    entry: Entry
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A piece of a file: where it begins, its size in bytes, and the CID of its block."""

    start: int
    size: int
    cid: Cid


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node's bytes begin in the file, how many its parent says they are, and how deep it is."""

    at: int
    size: int
    depth: int


def fetched(cid: Cid, blocks: Blocks) -> bytes:
    """The block of `cid`, proven.

    Raises:
        WrongBlockError: other bytes came.
    """
    if cid.hash == IDENTITY:
        return cid.digest
    block = blocks(cid)
    if len(block) > MAX_BLOCK:
        raise TooLargeError(cid, f"a block of {len(block)} bytes; more than {MAX_BLOCK} are refused")
    if not cid.proves(block):
        raise WrongBlockError(cid, "other bytes came")
    return block


def opened(cid: Cid, blocks: Blocks) -> Opened:
    """The node of `cid`, proven and understood.

    Raises:
        DagError: it is no node of UnixFS.
    """
    return understood(cid, fetched(cid, blocks))


def understood(cid: Cid, block: bytes) -> Opened:
    """A block that is proven already as what it says.

    Raises:
        DagError: it is no node of UnixFS.
    """
    if cid.codec == RAW:
        return Opened(cid, Entry(Kind.RAW, block, len(block)))
    try:
        node = dagpb.decode(block)
        entry = unixfs.decode(node.data or b"")
    except NodeError as error:
        raise DagError(cid, str(error)) from None
    if entry.kind in {Kind.RAW, Kind.FILE}:
        if len(entry.block_sizes) != len(node.links):
            raise DagError(cid, f"{len(node.links)} links and {len(entry.block_sizes)} sizes")
        if entry.size not in {None, len(entry.data or b"") + sum(entry.block_sizes)}:
            raise DagError(cid, "a size that is not that of its parts")
    return Opened(cid, entry, node.links)


def file(cid: Cid, blocks: Blocks, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The bytes `start` <= b < `stop` of the file `cid` (None: to its end), each proven before it is given.

    Blocks that hold none of them are not asked for.

    Raises:
        DagError: it is no file, or not as its nodes say.
    """
    span = range(start, sys.maxsize if stop is None else stop)
    root = opened(cid, blocks)
    for at, piece in _pieces(root, blocks, span, _Place(0, _size(root), 0)):
        if part := piece[max(0, start - at) : max(0, span.stop - at)]:
            yield part


def leaves(cid: Cid, blocks: Blocks) -> Iterator[Leaf]:
    """The leaves of the file `cid` in order; no leaf is fetched, unless it is the whole file.

    Raises:
        DagError: it is no file, or not as its nodes say; or its inner nodes hold bytes themselves.
    """
    root = opened(cid, blocks)
    return _leaves(root, blocks, _Place(0, _size(root), 0))


def entries(cid: Cid, blocks: Blocks) -> Iterator[Link]:
    """The entries of the directory `cid`, sharded or not, each with its name.

    Raises:
        DagError: it is no directory, or not as it must be.
    """
    seen: set[str] = set()
    for link in _entries(opened(cid, blocks), blocks, 0):
        name = link.name or ""
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise DagError(cid, f"an entry called {name!r}")
        if name in seen:
            raise DagError(cid, f"two entries called {name!r}")
        seen.add(name)
        yield link


def resolve(cid: Cid, path: str, blocks: Blocks) -> Cid:
    """What `path` (names between slashes) leads to from the directory `cid`.

    Raises:
        MissingLinkError: there is no such name.
        DagError: a name on the way is no directory's.
    """
    names = [name for name in path.split("/") if name]
    if len(names) > MAX_DEPTH:
        raise DagError(cid, f"a path of more than {MAX_DEPTH} names")
    for name in names:
        link = _named(opened(cid, blocks), name, blocks, 0)
        if link is None:
            raise MissingLinkError(cid, f"no link named {name!r}")
        cid = link.cid
    return cid


def _pieces(node: Opened, blocks: Blocks, span: range, place: _Place) -> Iterator[tuple[int, bytes]]:
    """Pieces that meet `span`, each with where it begins in the file."""
    _check_file(node, place)
    at, held = place.at, node.entry.data or b""
    if held:
        yield at, held
    at += len(held)
    for link, size in zip(node.links, node.entry.block_sizes, strict=True):
        # Nothing is asked for what holds nothing: such nodes could be without end.
        if size and at < span.stop and span.start < at + size:
            below = _Place(at, size, place.depth + 1)
            yield from _pieces(opened(link.cid, blocks), blocks, span, below)
        at += size


def _size(node: Opened) -> int:
    return len(node.entry.data or b"") + sum(node.entry.block_sizes)


def _leaves(node: Opened, blocks: Blocks, place: _Place) -> Iterator[Leaf]:
    _check_file(node, place)
    if not node.links:
        yield Leaf(place.at, place.size, node.cid)
        return
    if node.entry.data:
        raise DagError(node.cid, "an inner node that holds bytes")
    at = place.at
    for link, size in zip(node.links, node.entry.block_sizes, strict=True):
        if link.cid.codec == RAW:
            yield Leaf(at, size, link.cid)
        elif size:
            yield from _leaves(opened(link.cid, blocks), blocks, _Place(at, size, place.depth + 1))
        at += size


def _check_file(node: Opened, place: _Place) -> None:
    if node.entry.kind not in {Kind.RAW, Kind.FILE}:
        raise DagError(node.cid, f"a {node.entry.kind.name.lower()} where a file was expected")
    if place.depth > MAX_DEPTH:
        raise DagError(node.cid, f"a file whose nodes are more than {MAX_DEPTH} deep")
    if place.size != _size(node):
        raise DagError(node.cid, f"not the {place.size} bytes that its parent says")


def _entries(node: Opened, blocks: Blocks, depth: int) -> Iterator[Link]:
    if node.entry.kind == Kind.DIRECTORY and depth == 0:
        yield from node.links
        return
    width = _prefix(node, depth)
    for link in node.links:
        name = link.name or ""
        if len(name) == width:
            yield from _entries(opened(link.cid, blocks), blocks, depth + 1)
        else:
            yield Link(link.cid, name[width:], link.tsize)


def _named(node: Opened, name: str, blocks: Blocks, depth: int) -> Link | None:
    if node.entry.kind == Kind.DIRECTORY and depth == 0:
        return next((link for link in node.links if link.name == name), None)
    width = _prefix(node, depth)
    try:
        slot = f"{hamt.place(name, depth, node.entry.fanout or 0):0{width}X}"
    except NodeError as error:
        raise DagError(node.cid, str(error)) from None
    for link in node.links:
        if link.name == slot + name:
            return link
        if link.name == slot:
            return _named(opened(link.cid, blocks), name, blocks, depth + 1)
    return None


def _prefix(node: Opened, depth: int) -> int:
    """How many hex digits stand before the names in this shard."""
    entry = node.entry
    if entry.kind != Kind.SHARD:
        raise DagError(node.cid, f"a {entry.kind.name.lower()} where a directory was expected")
    fanout = entry.fanout or 0
    if entry.hash != unixfs.MURMUR3 or not 8 <= fanout <= unixfs.MAX_FANOUT or fanout & fanout - 1:
        raise DagError(node.cid, f"a shard of a kind that is not known (fanout {fanout})")
    if depth * (fanout.bit_length() - 1) >= 64:
        raise DagError(node.cid, "a sharded directory is deeper than its hash")
    width = len(f"{fanout - 1:X}")
    if any(len(link.name or "") < width for link in node.links):
        raise DagError(node.cid, "an entry of a shard without its slot")
    return width
