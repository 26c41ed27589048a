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

OPEN = (
    "SELECT id FROM ipfs_downloads WHERE downloadPath = ? AND status NOT IN ('success', 'failed')"
    " ORDER BY id DESC LIMIT 1"
)
"""The row of a file that is not over."""


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

    def begun(self, path: str, *, total: int | None, sha256: str | None, cid: str | None, now: float) -> None:
        """A file is asked for: its row that is not over goes on (`resuming`), or a new one begins."""
        self._set(path, status="resuming", error_message=None, lastAttempt=now)
        self._db.later(
            "INSERT INTO ipfs_downloads (cidId, downloadPath, status, total_bytes, started_at, lastAttempt, hash)"  # noqa: S608 - constants
            " SELECT (SELECT max(id) FROM ipfs_cids WHERE cid = ?), ?, 'pending', ?, ?, ?, ?"
            f" WHERE NOT EXISTS ({OPEN})",
            (cid, path, total, now, now, sha256, path),
        )

    def progressed(self, path: str, *, received: int, size: int) -> None:
        """So much more was received, and so much of the file is right."""
        self._db.later(
            "UPDATE ipfs_downloads SET status = CASE status WHEN 'resuming' THEN status ELSE 'in_progress' END,"  # noqa: S608
            f" downloaded_bytes = downloaded_bytes + ?, currentSize = ? WHERE id = ({OPEN})",
            (received, size, path),
        )

    def attempted(self, path: str, *, error: str | None, now: float) -> None:
        """An attempt is over; `error` is why it failed."""
        self._db.later(
            "UPDATE ipfs_downloads SET attempts = attempts + 1, lastAttempt = ?, error_message = ?"  # noqa: S608
            f" WHERE id = ({OPEN})",
            (now, error, path),
        )

    def paused(self, path: str) -> None:
        """The run was stopped; what came is kept."""
        self._set(path, status="paused")

    def succeeded(self, path: str, *, size: int, now: float) -> None:
        """The file is here and right."""
        self._set(path, status="success", error_message=None, completed_at=now, currentSize=size)

    def failed(self, path: str, *, error: str, now: float) -> None:
        """The file could not be had."""
        self._set(path, status="failed", error_message=error, completed_at=now)

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

    def _set(self, path: str, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        self._db.later(
            f"UPDATE ipfs_downloads SET {columns} WHERE id = ({OPEN})",  # noqa: S608 - the names are this module's
            (*values.values(), path),
        )


def _download(row: tuple[Any, ...]) -> Download | None:
    found = Download(*row)
    whole = all(isinstance(value, int) for value in (found.id, found.attempts, found.currentSize))
    return (
        found if whole and found.status in get_args(Status) and isinstance(found.downloadPath, str) else None
    )
