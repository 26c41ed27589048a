"""Which files were proven, and what their inode looked like then: what spares a warm start hashing.

A row is a memory, not a proof: whoever trusts it has compared it with the file (P6). Exclusions:
no file is looked at, hashed or named here (`cache`). Paths are relative to the models folder, in
posix form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fallback.state.attempts import LAST_SECOND

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fallback.state.db import Database

COLUMNS = "size, mtime_ns, ctime_ns, inode, sha256, verified_at, layer, source"


HASTE_BYTES = 4 << 20
"""The row of a larger file does not wait for others: hashing it once more takes longer than a transaction does.

Another process may stand at the file's lock, and look for the row as soon as that is let go.
"""


class Row(NamedTuple):
    """A file as it was when its bytes were proven; `verified_at` in seconds since the epoch."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str
    verified_at: float
    layer: str
    source: str

    def matches(self, stat: os.stat_result, sha256: str) -> bool:
        """Whether the file is untouched since, and what is wanted is what was proven.

        ctime is what catches a writer that sets mtime back: nobody can set it.
        """
        then = (self.size, self.mtime_ns, self.ctime_ns, self.inode, self.sha256)
        return then == (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256)


class Verified:
    """The table `verified`, by path."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, path: str) -> Row | None:
        """The row of `path`, if there is one that can be read."""
        for values in self._db.execute(
            f"SELECT {COLUMNS} FROM verified WHERE path = ?",  # noqa: S608 - a constant
            (path,),
        ):
            return _row(values)
        return None

    def having(self, sha256: str) -> list[tuple[str, Row]]:
        """The rows of files with these bytes, with their paths."""
        rows = self._db.execute(
            f"SELECT path, {COLUMNS} FROM verified WHERE sha256 = ? ORDER BY path",  # noqa: S608 - a constant
            (sha256,),
        )
        return [(path, row) for path, *values in rows if (row := _row(values)) is not None]

    def put(self, path: str, row: Row) -> None:
        """Remember `row` for `path`, instead of what was; of a file up to `HASTE_BYTES` within a moment.

        Its bytes are on disk before it.
        """
        values = list(row)
        values[3] = str(row.inode)
        self._db.later(
            f"INSERT OR REPLACE INTO verified (path, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (path, *values),
        )
        if row.size > HASTE_BYTES:
            self._db.flush()

    def drop(self, path: str) -> None:
        """Forget `path`: before its bytes go, for a row is not to outlive them."""
        self._db.execute("DELETE FROM verified WHERE path = ?", (path,))

    def all(self) -> dict[str, Row]:
        """Every row that can be read, by path."""
        rows = self._db.execute(f"SELECT path, {COLUMNS} FROM verified ORDER BY path")  # noqa: S608 - a constant
        return {path: row for path, *values in rows if (row := _row(values)) is not None}

    def prune(self, exists: Callable[[str], bool]) -> None:
        """Forget the paths at which nothing is any more."""
        for (path,) in self._db.execute("SELECT path FROM verified"):
            if not (isinstance(path, str) and exists(path)):
                self._db.execute("DELETE FROM verified WHERE path IS ?", (path,))


def _row(values: Any) -> Row | None:
    size, mtime_ns, ctime_ns, inode, *others = values
    try:
        row = Row(int(size), int(mtime_ns), int(ctime_ns), int(inode), *others)
        texts = (row.sha256, row.layer, row.source)
        whole = all(isinstance(text, str) for text in texts) and 0 <= row.verified_at <= LAST_SECOND
    except (TypeError, ValueError, OverflowError):  # the last: infinity
        return None
    return row if whole else None  # junk is no memory: the file is hashed again
