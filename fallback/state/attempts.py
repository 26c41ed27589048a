"""What was tried and what came of it: the store behind the metrics.

Exclusions: nothing is counted or judged here (`metrics`), and nothing is old by itself: whoever
knows the time and the retention calls `prune`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fallback.state.db import Database

LIMIT = 100_000
"""The most records one question answers with, the newest: a table gone huge must not fill the memory."""

BATCH = 20_000
"""Rows forgotten in one statement: while it runs, no other process can write (`db.BUSY_S`)."""

LAST_SECOND = 253402300799.0
"""The last a calendar can write (9999-12-31); what lies beyond is junk."""


class Record(NamedTuple):
    """One attempt, or one file's hit or failure. `timestamp` in seconds since the epoch."""

    timestamp: float
    model: str
    modelType: str  # noqa: N815 - the original's key (DESIGN, "Compatible")
    file: str
    layer: str | None
    gateway: str | None
    status: str
    latency_ms: float
    bytes_downloaded: int
    bytes_total: int | None
    error_type: str | None = None
    error_message: str | None = None


COLUMNS = ", ".join(Record._fields)
INSERT = f"INSERT INTO attempts ({COLUMNS}) VALUES ({', '.join('?' * len(Record._fields))})"  # noqa: S608 - constants
TYPES = ", ".join(f"typeof({name})" for name in Record._fields)


class Attempts:
    """The table `attempts`, in the order things happened, which is not always the clock's."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, record: Record) -> None:
        """Keep `record`."""
        self._db.later(INSERT, record)

    def since(self, timestamp: float) -> list[Record]:
        """The records of `timestamp` and later, oldest first; the newest `LIMIT` of them."""
        self._db.flush()  # also what another process kept out, if it has let go: a question alone does not try again
        # The plus keeps SQLite off the index: it would sort a million rows to find the newest of them.
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM attempts WHERE +timestamp BETWEEN ? AND ?"  # noqa: S608 - a constant
            f" AND typeof(latency_ms) = 'real' AND 'blob' NOT IN ({TYPES}) ORDER BY id DESC LIMIT ?",
            (timestamp, LAST_SECOND, LIMIT),
        )
        return [Record(*row) for row in reversed(rows)]

    def prune(self, before: float, *, beyond: float = math.inf) -> None:
        """Forget what is older than `before`, and what a wrong clock dated after `beyond`."""
        old, done = "(timestamp < ? OR timestamp > ?) AND id > ?", -1
        while True:
            first = f"SELECT id FROM attempts WHERE {old} ORDER BY id LIMIT {BATCH}"  # noqa: S608 - constants
            rows = self._db.execute(f"SELECT max(id) FROM ({first})", (before, beyond, done))  # noqa: S608
            last = rows[0][0] if rows else None
            if not isinstance(last, int):
                return
            self._db.execute(f"DELETE FROM attempts WHERE {old} AND id <= ?", (before, beyond, done, last))  # noqa: S608
            done = last

    def clear(self) -> None:
        """Forget everything."""
        self._db.execute("DELETE FROM attempts")
