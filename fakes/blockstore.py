"""Every block that a world's IPFS has, by the hash in its CID: version 0 and 1, and any codec, are one block.

Blocks are bytes or views of a file that somebody mapped, so that a world of 500 MB costs no memory. What a
CID names is given back as it was put; who needs it proven proves it (`fallback.ipfs.reading`). Does not fetch, and
forgets nothing by itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fallback.ipfs.car import MissingBlockError
from fallback.ipfs.cid import IDENTITY

if TYPE_CHECKING:
    from fallback.ipfs.cid import Cid


class Blockstore:
    """Blocks by CID; safe for threads. Called with a CID it is a `fallback.ipfs.reading.Blocks`."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, bytes], bytes | memoryview] = {}
        self._lock = threading.Lock()

    def put(self, cid: Cid, block: bytes | memoryview) -> None:
        """Have the block from now on."""
        with self._lock:
            self._blocks[cid.hash, cid.digest] = block

    def clear(self) -> None:
        """Have nothing any more."""
        with self._lock:
            self._blocks.clear()

    def copy(self) -> Blockstore:
        """Another store with the same blocks; what is put into one of them later is not in the other."""
        made = Blockstore()
        with self._lock:
            made._blocks.update(self._blocks)
        return made

    def __contains__(self, cid: Cid) -> bool:
        """Whether it is here; an identity CID always is, for it holds its bytes itself."""
        return cid.hash == IDENTITY or (cid.hash, cid.digest) in self._blocks

    def __len__(self) -> int:
        """How many different blocks are here."""
        return len(self._blocks)

    def __call__(self, cid: Cid) -> bytes:
        """The block of `cid`.

        Raises:
            MissingBlockError: it is not here.
        """
        return bytes(self.view(cid))

    def view(self, cid: Cid) -> bytes | memoryview:
        """The same without a copy."""
        if cid.hash == IDENTITY:
            return cid.digest
        try:
            return self._blocks[cid.hash, cid.digest]
        except KeyError:
            raise MissingBlockError(cid, "it is not here") from None
