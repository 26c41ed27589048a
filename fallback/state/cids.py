"""Which CID a model was last found or published under, in the original's table `ipfs_cids`.

Exclusions: a CID is neither parsed nor fetched here, and a model without one is no error: its IPFS
layer is skipped (`sources`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fallback.state.db import Database


class Cids:
    """The table `ipfs_cids`, by model name and type. Times are seconds since the epoch."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def newest(self, model_name: str, model_type: str) -> str | None:
        """The CID added last, of the model as it is now; by row and not by time: a clock may have gone back."""
        newest = self._newest(model_name, model_type)
        return newest[1] if newest else None

    def add(
        self,
        cid: str,
        model_name: str,
        model_type: str,
        *,
        now: float,
        model_hash: str | None = None,
        gateway_url: str | None = None,
    ) -> None:
        """Make `cid` the newest; one that already is gets the new time, not a second row."""
        newest = self._newest(model_name, model_type)
        if newest and newest[1] == cid:
            self._db.execute(
                "UPDATE ipfs_cids SET last_accessed_at = ?, modelHash = coalesce(?, modelHash),"
                " gatewayUrl = coalesce(?, gatewayUrl) WHERE id = ?",
                (now, model_hash, gateway_url, newest[0]),
            )
            return
        self._db.execute(
            "INSERT INTO ipfs_cids (cid, modelName, modelType, modelHash, gatewayUrl, cached_at,"
            " last_accessed_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (cid, model_name, model_type, model_hash, gateway_url, now, now),
        )

    def supersede(self, model_name: str, model_type: str, *, now: float) -> None:
        """The model has other files from now on: what was published is no way to them."""
        self._db.execute(
            "UPDATE ipfs_cids SET superseded_at = ? WHERE modelName = ? AND modelType = ? AND superseded_at IS NULL",
            (now, model_name, model_type),
        )

    def reinstate(self, now: float) -> None:
        """Take back what was superseded at `now`."""
        self._db.execute("UPDATE ipfs_cids SET superseded_at = NULL WHERE superseded_at = ?", (now,))

    def used(self, cid: str, model_name: str, model_type: str, *, now: float, ok: bool) -> None:
        """Count that files were asked for by this CID, and whether they came."""
        column = "success_count" if ok else "failure_count"
        self._db.later(
            f"UPDATE ipfs_cids SET {column} = {column} + 1, last_accessed_at = ? WHERE id ="  # noqa: S608 - constants
            " (SELECT max(id) FROM ipfs_cids WHERE cid = ? AND modelName = ? AND modelType = ?)",
            (now, cid, model_name, model_type),
        )

    def _newest(self, model_name: str, model_type: str) -> tuple[int, str] | None:
        rows = self._db.execute(
            "SELECT id, cid FROM ipfs_cids WHERE modelName = ? AND modelType = ? AND superseded_at IS NULL"
            " ORDER BY id DESC LIMIT 1",
            (model_name, model_type),
        )
        id_, cid = rows[0] if rows else (None, None)
        return (id_, cid) if isinstance(id_, int) and isinstance(cid, str) else None
