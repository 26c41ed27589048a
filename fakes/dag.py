"""Files and folders as a gateway finds them in a blockstore: a path's end, a file's bytes, a folder's entries.

Bytes are views of the leaves, so that serving a file copies nothing; what has to be opened is opened once. Nothing is
proven here: who put the blocks into the store did that, and who gets them will. A block that is not there is asked for
only when it is needed: the rest of a file can be had without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes.steps import Reset, pieces
from fallback.ipfs import reading
from fallback.ipfs.car import MissingBlockError
from fallback.ipfs.cid import RAW
from fallback.ipfs.reading import DagError, MissingLinkError, Opened
from fallback.ipfs.unixfs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fakes.blockstore import Blockstore
    from fakes.steps import Step
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.dagpb import Link

FOLDERS = frozenset({Kind.DIRECTORY, Kind.SHARD})
TRUNCATED = (
    b"\n\n[Gateway Error: Response truncated - unable to retrieve remaining data within timeout period]"
)
"""What boxo writes into a file's body whose next block does not come."""


class NoLinkError(LookupError):
    """A folder has no entry of that name, or what should be a folder is none."""


@dataclass(frozen=True)
class Found:
    """Where a path led: a CID for each of its segments, the root first; and the blocks that had to be opened for it."""

    cids: tuple[Cid, ...]
    way: tuple[Cid, ...]

    @property
    def cid(self) -> Cid:
        """Its end."""
        return self.cids[-1]


class Dag:
    """The blocks of a store as files and folders."""

    def __init__(self, blocks: Blockstore) -> None:
        self.blocks = blocks
        self._opened: dict[Cid, Opened] = {}

    def node(self, cid: Cid) -> Opened:
        """A block as what it says; of a raw one, and of a leaf's, no more than its size.

        Raises:
            MissingBlockError: it is not here.
            DagError: it is no node of UnixFS.
        """
        if cid.codec == RAW:
            return Opened(cid, Entry(Kind.RAW, None, len(self.blocks.view(cid))))
        if cid not in self._opened:
            node = reading.understood(cid, self.blocks(cid))
            if not node.links:
                return node  # small, or a leaf of a file: a copy of it is not worth keeping
            self._opened[cid] = node
        return self._opened[cid]

    def find(self, root: Cid, names: Iterable[str]) -> Found:
        """What the names lead to from the root, each a folder's entry.

        Raises:
            NoLinkError: there is no such name.
            MissingBlockError: a folder on the way is not here.
        """
        cids, way = [root], []

        def noted(cid: Cid) -> bytes:
            way.append(cid)
            return self.blocks(cid)

        for name in names:
            shown = name.encode("utf-8", "replace").decode()
            missing = NoLinkError(f'no link named "{shown}" under {cids[-1]}')
            if "/" in name or self.node(cids[-1]).entry.kind not in FOLDERS:
                raise missing
            try:
                cids.append(reading.resolve(cids[-1], name, noted))
            except MissingLinkError:
                raise missing from None
        return Found(tuple(cids), tuple(way))

    def entries(self, cid: Cid) -> list[Link]:
        """What is in a folder."""
        return list(reading.entries(cid, self.blocks))

    def size(self, cid: Cid) -> int:
        """How many bytes the file has."""
        entry = self.node(cid).entry
        return entry.size if entry.size is not None else len(entry.data or b"") + sum(entry.block_sizes)

    def stretch(self, cid: Cid, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes of a file from `start` up to, not including, `stop`; blocks without a byte of it are not asked for."""
        node = self.node(cid)
        held = self._held(node)
        if held[start:stop]:
            yield held[start:stop]
        at = len(held)
        for link, size in zip(node.links, node.entry.block_sizes, strict=True):
            if at < stop and start < at + size:
                yield from self.stretch(link.cid, max(0, start - at), min(size, stop - at))
            at += size

    def _held(self, node: Opened) -> memoryview:
        """The bytes in the block itself."""
        if node.cid.codec == RAW:
            return memoryview(self.blocks.view(node.cid))
        return memoryview(node.entry.data or b"")


@dataclass(frozen=True)
class DagFile:
    """A file in a DAG, as `fakes.ranges` serves one; a symbolic link is a file that holds its target."""

    dag: Dag
    cid: Cid

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.dag.size(self.cid)

    def steps(self, start: int, stop: int) -> Iterator[Step]:
        """A part of it, without copying; where a block is missing, it ends as boxo ends it."""
        try:
            for view in self.dag.stretch(self.cid, start, stop):
                yield from pieces(view)
        except (MissingBlockError, DagError):
            yield TRUNCATED
            yield Reset()
