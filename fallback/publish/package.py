"""A model as it is published: its files proven, its DAG built, and the DAG as a CAR without a copy of the files.

Inner nodes are kept, for they are small; leaves are made again from the files as they are sent, and each
must be the block that its CID says: a file that changes meanwhile is found out. Blocks come in
depth-first order, the root first, each as often as it has a place, so that whoever reads needs to keep
none. Exclusions: nothing is sent (`pinata`, `kubo`) or recorded (`publishing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback import folder as folders
from fallback.errors import StorageError
from fallback.ipfs import building, car, dagpb
from fallback.ipfs.cid import DAG_PB
from fallback.publish import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fallback.ipfs.cid import Cid
    from fallback.ipfs.unixfs import Profile
    from fallback.manifest import Model

_LINKS = 0x12
"""The first byte of a node that has links, as `dagpb` writes it; a leaf has none."""


@dataclass(frozen=True)
class Package:
    """A model's DAG: `files` on this disk by their paths in it, `inner` the nodes above their leaves."""

    model: Model
    profile: Profile
    root: Cid
    files: Mapping[str, Path]
    inner: Mapping[Cid, bytes]
    roots: Mapping[Cid, Path]
    """The files once more, by the CIDs of their own roots."""
    block_bytes: int
    """Of all blocks as they stand in a CAR."""

    @classmethod
    def of(cls, model: Model, files: Mapping[str, Path], profile: Profile) -> Package:
        """Read the files, and build.

        Raises:
            StorageError: one cannot be read, or changed meanwhile.
        """
        inner: dict[Cid, bytes] = {}
        size = 0

        def keep(cid: Cid, block: bytes) -> None:
            nonlocal size
            size += len(car.prefix(cid, len(block))) + len(block)
            if block[:1] == bytes([_LINKS]) and cid.codec == DAG_PB:
                inner[cid] = block

        made = tree.of_files(files, profile, keep)
        roots = {built.cid: files[name] for name, built in made.files.items()}
        return cls(model, profile, made.root.cid, files, inner, roots, size)

    def blocks(self) -> Iterator[tuple[Cid, bytes]]:
        """Every block, depth first.

        Raises:
            StorageError: a file changed since it was read.
        """
        return self._below(self.root)

    def _below(self, cid: Cid) -> Iterator[tuple[Cid, bytes]]:
        if (path := self.roots.get(cid)) is not None:
            yield from self._of_file(cid, path, folders.pieces(path, self.profile.chunk))
            return
        block = self.inner[cid]
        yield cid, block
        for link in dagpb.decode(block).links:
            yield from self._below(link.cid)

    def _of_file(self, cid: Cid, path: Path, chunks: Iterator[bytes]) -> Iterator[tuple[Cid, bytes]]:
        if (block := self.inner.get(cid)) is None:
            kept: list[bytes] = []
            made = building.leaf(next(chunks, b""), self.profile, lambda _cid, leaf: kept.append(leaf))
            if made.cid != cid:
                raise StorageError(path, "changed while it was published; try again when nobody writes to it")
            yield cid, kept[0]
            return
        yield cid, block
        for link in dagpb.decode(block).links:
            yield from self._of_file(link.cid, path, chunks)


def car_of(packages: Sequence[Package]) -> Iterator[bytes]:
    """The CAR of these models, a root each, in pieces of a block at most."""
    yield car.header([package.root for package in packages])
    for package in packages:
        for cid, block in package.blocks():
            yield car.prefix(cid, len(block))
            yield block


def car_bytes(packages: Iterable[Package]) -> int:
    """How large that CAR is."""
    listed = list(packages)
    return len(car.header([each.root for each in listed])) + sum(each.block_bytes for each in listed)
