"""Blocks in memory, and trees of them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from fallback.ipfs import building, car
from fallback.ipfs.cid import Cid
from fallback.ipfs.unixfs import V1_2025

if TYPE_CHECKING:
    from fallback.ipfs.unixfs import Profile


class Blocks(dict[Cid, bytes]):
    """A block store: a sink for building, and a source for reading."""

    def put(self, cid: Cid, block: bytes) -> None:
        """Take a block."""
        self[cid] = block

    def __call__(self, cid: Cid) -> bytes:
        """Give a block."""
        return self[cid]

    def file(self, data: bytes, profile: Profile = V1_2025) -> building.Built:
        """Build a file into this store."""
        return building.file(io.BytesIO(data), profile, self.put)

    def car(self, *roots: Cid) -> bytes:
        """All blocks as a CAR."""
        return car.header(roots) + b"".join(car.section(cid, block) for cid, block in self.items())


@pytest.fixture
def blocks() -> Blocks:
    """An empty store."""
    return Blocks()
