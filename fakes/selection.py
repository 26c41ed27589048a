"""Which blocks of a DAG a CAR holds, in the order they come: depth first, a block before those it links to.

The blocks that lead to the path's end come first, whatever the scope. A block that comes to be asked for twice is named
twice; an identity CID is named by nobody, for it is its own block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.dag import FOLDERS
from fallback.ipfs.cid import IDENTITY, RAW
from fallback.ipfs.unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.dag import Dag, Found
    from fakes.forms import Scope
    from fallback.ipfs.cid import Cid


def selected(dag: Dag, found: Found, scope: Scope, part: tuple[int, int] | None) -> Iterator[Cid]:
    """The CIDs of those blocks; of a file in the scope "entity" no more than the `part` (start, stop) needs.

    Raises while it goes:
        MissingBlockError: a block is not here, and what is below it not known.
    """
    for cid in _all(dag, found, scope, part):
        if cid.hash != IDENTITY:
            yield cid


def _all(dag: Dag, found: Found, scope: Scope, part: tuple[int, int] | None) -> Iterator[Cid]:
    yield from found.way
    if scope == "block":
        yield found.cid
    elif scope == "all":
        yield from _below(dag, found.cid)
    elif dag.node(found.cid).entry.kind in FOLDERS:
        yield from _shards(dag, found.cid)
    elif part is None:
        yield from _below(dag, found.cid)
    else:
        yield from _touched(dag, found.cid, *part)


def _below(dag: Dag, cid: Cid) -> Iterator[Cid]:
    """A block and everything below it."""
    yield cid
    if cid.codec != RAW:
        for link in dag.node(cid).links:
            yield from _below(dag, link.cid)


def _shards(dag: Dag, cid: Cid) -> Iterator[Cid]:
    """What tells the entries of a folder: its block, or all of its shards."""
    yield cid
    node = dag.node(cid)
    if node.entry.kind is Kind.SHARD:
        width = len(f"{(node.entry.fanout or 1) - 1:X}")
        for link in node.links:
            if len(link.name or "") == width:  # a slot and no name: a shard of its own
                yield from _shards(dag, link.cid)


def _touched(dag: Dag, cid: Cid, start: int, stop: int) -> Iterator[Cid]:
    """The blocks of a file that the bytes from `start` up to `stop`, not included, need."""
    yield cid
    if cid.codec == RAW:
        return
    node = dag.node(cid)
    at = len(node.entry.data or b"")
    for link, size in zip(node.links, node.entry.block_sizes, strict=True):
        if at < stop and start < at + size:
            yield from _touched(dag, link.cid, max(0, start - at), min(size, stop - at))
        at += size
