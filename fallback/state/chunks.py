"""The SHA-256 of each MiB of files that were proven whole, by the file's own: for the next repair.

Exclusions: a list is nobody's proof of a file, only of which part of it is wrong (`chunks`). One that
cannot be read is as good as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fallback.state.db import Database

DIGEST_BYTES = 32


class KnownChunks:
    """The table `chunks`, by the SHA-256 of the file, in hex like those of its chunks."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, sha256: str, size: int, chunk_bytes: int) -> tuple[str, ...]:
        """The list of a file of `size` bytes; empty if there is none, or it is not of that many chunks."""
        for (digests,) in self._db.execute("SELECT digests FROM chunks WHERE sha256 = ?", (sha256,)):
            if isinstance(digests, bytes) and len(digests) == -(-size // chunk_bytes) * DIGEST_BYTES:
                starts = range(0, len(digests), DIGEST_BYTES)
                return tuple(digests[start : start + DIGEST_BYTES].hex() for start in starts)
        return ()

    def put(self, sha256: str, chunks: Sequence[str]) -> None:
        """Remember the list of a file that was proven."""
        digests = bytes.fromhex("".join(chunks))
        self._db.later("INSERT OR REPLACE INTO chunks (sha256, digests) VALUES (?, ?)", (sha256, digests))

    def prune(self, wanted: Collection[str]) -> None:
        """Forget the lists of files that are neither `wanted` (by their SHA-256) nor here."""
        for (sha256,) in self._db.execute(
            "SELECT sha256 FROM chunks WHERE sha256 NOT IN (SELECT sha256 FROM verified WHERE sha256 IS NOT NULL)"
        ):
            if sha256 not in wanted:
                self._db.execute("DELETE FROM chunks WHERE sha256 IS ?", (sha256,))
