"""Each file's way here, in the original's table `ipfs_downloads`: begun, paused, resumed, done or failed.

A file has one row that is not over, at most; the next download of it after that is a new row. Nobody
resumes by this table: a partial on disk says what has come, and the row says so to people. Exclusions:
what counts as an end is the observer's to say (`downloads`), and no row decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from fallback.state.db import Database

Status = Literal["pending", "in_progress", "resuming", "paused", "success", "failed"]
LIMIT = 10_000
"""The most rows one question answers with, the newest."""

COLUMNS = (
    "id, cidId, downloadPath, status, downloaded_bytes, total_bytes, error_message, started_at,"
    " completed_at, attempts, lastAttempt, currentSize, hash"
)


@dataclass(frozen=True, slots=True)
class Download:
    """A row. Times are seconds since the epoch, sizes bytes; `hash` is the SHA-256 that the file must have.

    `downloaded_bytes` counts what this download received; `currentSize` is how much of the file is right.
    """

    id: int
    cidId: int | None  # noqa: N815 - the original's columns (DESIGN, "Compatible")
    downloadPath: str  # noqa: N815
    status: Status
    downloaded_bytes: int
    total_bytes: int | None
    error_message: str | None
    started_at: float
    completed_at: float | None
    attempts: int
    lastAttempt: float | None  # noqa: N815
    currentSize: int  # noqa: N815
    hash: str | None


class Downloads:
    """The table; a file is known by its path below the models folder."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def begun(
        self, path: str, *, total: int | None, sha256: str | None, cid: str | None, now: float
    ) -> int | None:
        """A file is asked for: its row that is not over goes on (`resuming`), or a new one begins. The row's id."""
        found = self._open(path)
        if found is not None:
            self._set(found, status="resuming", error_message=None, lastAttempt=now)
            return found
        self._db.execute(
            "INSERT INTO ipfs_downloads (cidId, downloadPath, status, total_bytes, started_at, lastAttempt, hash)"
            " VALUES ((SELECT max(id) FROM ipfs_cids WHERE cid = ?), ?, 'pending', ?, ?, ?, ?)",
            (cid, path, total, now, now, sha256),
        )
        return self._open(path)

    def progressed(self, id_: int | None, *, received: int, size: int) -> None:
        """So much more was received, and so much of the file is right."""
        self._db.execute(
            "UPDATE ipfs_downloads SET status = CASE status WHEN 'resuming' THEN status ELSE 'in_progress' END,"
            " downloaded_bytes = downloaded_bytes + ?, currentSize = ? WHERE id = ?",
            (received, size, id_),
        )

    def attempted(self, id_: int | None, *, error: str | None, now: float) -> None:
        """An attempt is over; `error` is why it failed."""
        self._db.execute(
            "UPDATE ipfs_downloads SET attempts = attempts + 1, lastAttempt = ?, error_message = ? WHERE id = ?",
            (now, error, id_),
        )

    def paused(self, id_: int | None) -> None:
        """The run was stopped; what came is kept."""
        self._set(id_, status="paused")

    def succeeded(self, id_: int | None, *, size: int, now: float) -> None:
        """The file is here and right."""
        self._set(id_, status="success", error_message=None, completed_at=now, currentSize=size)

    def failed(self, id_: int | None, *, error: str, now: float) -> None:
        """The file could not be had."""
        self._set(id_, status="failed", error_message=error, completed_at=now)

    def newest(self) -> list[Download]:
        """The newest rows that can be read, oldest first."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM (SELECT * FROM ipfs_downloads ORDER BY id DESC LIMIT {LIMIT}) ORDER BY id"  # noqa: S608 - constants
        )
        return [found for row in rows if (found := _download(row)) is not None]

    def prune(self, before: float) -> None:
        """Forget what was over before that."""
        self._db.execute(
            "DELETE FROM ipfs_downloads WHERE status IN ('success', 'failed') AND completed_at < ?", (before,)
        )

    def _open(self, path: str) -> int | None:
        rows = self._db.execute(
            "SELECT id FROM ipfs_downloads WHERE downloadPath = ? AND status NOT IN ('success', 'failed')"
            " ORDER BY id DESC LIMIT 1",
            (path,),
        )
        return rows[0][0] if rows and isinstance(rows[0][0], int) else None

    def _set(self, id_: int | None, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(
            f"UPDATE ipfs_downloads SET {columns} WHERE id = ?",  # noqa: S608 - the names are this module's
            (*values.values(), id_),
        )


def _download(row: tuple[Any, ...]) -> Download | None:
    found = Download(*row)
    whole = all(isinstance(value, int) for value in (found.id, found.attempts, found.currentSize))
    return (
        found if whole and found.status in get_args(Status) and isinstance(found.downloadPath, str) else None
    )
