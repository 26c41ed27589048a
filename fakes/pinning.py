"""What Pinata and Kubo do with what they are sent: blocks of it go into the world's store, and gateways serve them.

Files are cut into blocks as views of the upload. Does not keep what was pinned apart from what was not: a world has one
store, and a block that nobody knows the CID of is asked for by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.ipfs import building, car
from fallback.ipfs.building import Built

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fakes.blockstore import Blockstore
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.unixfs import Profile

Tree = dict[str, "Built | Tree"]


def pin_file(data: memoryview, profile: Profile, blocks: Blockstore) -> Built:
    """Put a file's blocks into the store."""
    return building.from_chunks(_chunks(data, profile.chunk), profile, blocks.put)  # type: ignore[arg-type]  # views are bytes enough


def pin_folder(files: Mapping[str, Built], profile: Profile, blocks: Blockstore) -> Mapping[str, Built]:
    """Put the folders of these files, by their paths, into the store; every folder by its path, the root as ""."""
    tree: Tree = {}
    for path, built in files.items():
        folder = tree
        *above, name = path.split("/")
        for part in above:
            below = folder.setdefault(part, {})
            folder = below if isinstance(below, dict) else {}
        folder[name] = built
    made: dict[str, Built] = {}
    _folder(tree, "", profile, blocks, made)
    return made


def pin_car(data: memoryview, blocks: Blockstore) -> Iterable[tuple[Cid, memoryview]]:
    """Put a CAR's blocks into the store, each proven; they are given as they come.

    Raises:
        ValueError: it is no CAR, or a block in it is wrong.
    """
    stream = _Stream(data)
    for cid, block in car.read(stream):  # type: ignore[arg-type]  # all that is asked of it is `read`
        view = data[stream.at - len(block) : stream.at]
        blocks.put(cid, view)
        yield cid, view


class _Stream:
    """A view to read from, that knows where it is."""

    def __init__(self, data: memoryview) -> None:
        self._data, self.at = data, 0

    def read(self, size: int) -> bytes:
        piece = bytes(self._data[self.at : self.at + size])
        self.at += len(piece)
        return piece


def _chunks(data: memoryview, size: int) -> Iterator[memoryview]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _folder(tree: Tree, path: str, profile: Profile, blocks: Blockstore, made: dict[str, Built]) -> Built:
    below = {
        name: each
        if isinstance(each, Built)
        else _folder(each, f"{path}/{name}".lstrip("/"), profile, blocks, made)
        for name, each in tree.items()
    }
    made[path] = building.directory(below, profile, blocks.put)
    return made[path]
