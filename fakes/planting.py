"""Files and folders of blobs as DAGs in a blockstore (profile unixfs-v1-2025), without hashing a file again.

The digests of a blob's chunks are known, so only the few inner nodes are made and hashed at each start; a leaf is a
view of the mapped file. `fallback.ipfs.building` makes the same DAGs from bytes, and a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.content import BLOCK
from fallback.ipfs import building, dagpb
from fallback.ipfs.building import Built
from fallback.ipfs.cid import DAG_PB, RAW, SHA2_256, Cid
from fallback.ipfs.dagpb import Link, Node
from fallback.ipfs.unixfs import V1_2025, Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.blockstore import Blockstore
    from fakes.content import Blob

Folder = dict[str, "Built | Folder"]
"""What is in a folder, by name."""


def plant_file(blob: Blob, blocks: Blockstore, width: int = V1_2025.width) -> Built:
    """Put the blob's blocks into the store; `width` is the most links of a node, lower in tests alone."""
    level = [_leaf(blob, index, blocks) for index in range(max(1, len(blob.chunks)))]
    while len(level) > 1:
        level = [_inner(level[at : at + width], blocks) for at in range(0, len(level), width)]
    return level[0]


def plant_folder(files: Mapping[str, Built], blocks: Blockstore) -> Built:
    """Put the folders of these files, by their paths, into the store; the root.

    Raises:
        ValueError: a path is a file's and a folder's at once.
    """
    root: Folder = {}
    for path, built in files.items():
        folder = root
        *above, name = path.split("/")
        for part in above:
            below = folder.setdefault(part, {})
            if isinstance(below, Built):
                raise ValueError(f"{path}: {part!r} is a file, and cannot be a folder too")  # noqa: TRY004  # of a manifest, not of a type
            folder = below
        if name in folder:
            raise ValueError(f"{path}: is a folder, and cannot be a file too")
        folder[name] = built
    return _planted(root, blocks)


def _planted(folder: Folder, blocks: Blockstore) -> Built:
    entries = {
        name: below if isinstance(below, Built) else _planted(below, blocks) for name, below in folder.items()
    }
    return building.directory(entries, V1_2025, blocks.put)


def _leaf(blob: Blob, index: int, blocks: Blockstore) -> Built:
    view = blob.view(index * BLOCK, (index + 1) * BLOCK)
    cid = Cid(1, RAW, SHA2_256, blob.chunks[index]) if blob.chunks else Cid.of(b"", RAW)
    blocks.put(cid, view)
    return Built(cid, len(view), len(view))


def _inner(children: list[Built], blocks: Blockstore) -> Built:
    sizes = tuple(child.size for child in children)
    links = tuple(Link(child.cid, "", child.tsize) for child in children)
    block = dagpb.encode(Node(links, Entry(Kind.FILE, size=sum(sizes), block_sizes=sizes).encode()))
    cid = Cid.of(block, DAG_PB)
    blocks.put(cid, block)
    return Built(cid, len(block) + sum(child.tsize for child in children), sum(sizes))
