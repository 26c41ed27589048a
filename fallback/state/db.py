"""One SQLite file: opened when first needed, migrated, healed. A failing one is said, never raised.

What is kept here saves time and tells what happened; no file is right or wrong because of it. So
whatever goes wrong, the answer is `[]` and one warning (P11). What another process's write keeps out
is written after it, in order; only what is too much, or still waits at the end, is lost. Exclusions:
no table's meaning (a module each), what may wait (`later`), no second chance for a disk that corrupts
the file twice in one run. WAL wants a local disk; on another the database warns and stays out.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fallback import durable
from fallback.state.later import Later
from fallback.state.tables import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fallback.state.later import Statement

BUSY_S = 5.0
"""How long another process's write is waited for."""

BUSY_AGAIN_MS = 50
"""The same, once it was in vain: a stuck process must not cost every statement `BUSY_S`."""

FAILURES = (sqlite3.Error, OSError, OverflowError, UnicodeError)
"""The last two: an int over 64 bits, and a file name that is not UTF-8; sqlite3 raises them bare."""


class Database:
    """The file at `path`; `warn` is told what went wrong, and is called outside the lock.

    Outside, because whoever is warned may hold a lock that another caller of `execute` waits for.
    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._off = self._failed = self._healed = False
        self._held = False
        """Whether another process's write was waited for in vain, and nothing was written since."""
        self._unsaid: list[str] = []
        self._later = Later(self.flush)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The statement's rows, after whatever waits; none when the database fails or is closed. Each call commits.

        While another process does not let go of the file, a question is answered by what is in it, and a
        write waits behind the others.
        """
        with self._saying():
            if not self._held:  # else the thread asks again, and not each that comes
                self._attempt(self._later.taken())
            if self._held and not _asks(sql):
                self._let_wait([*self._later.taken(), (sql, params)])
                return []
            return self._attempt([(sql, params)])

    def later(self, sql: str, params: Sequence[Any]) -> None:
        """Run it within a moment, in order, in one transaction with others: for what need not be on disk yet."""
        if not self._off:
            self._later.add((sql, params))

    def flush(self) -> None:
        """Write what waits."""
        with self._saying():
            self._attempt(self._later.taken())

    def close(self) -> None:
        """Let go of the file, for good, once what waits is written: a statement that comes later does nothing."""
        self._later.close()
        with self._lock:
            self._off = True
            self._disconnect()

    @contextlib.contextmanager
    def _saying(self) -> Iterator[None]:
        """The lock; what went wrong under it is said after it."""
        with self._lock:
            yield
            unsaid, self._unsaid = self._unsaid, []
        for message in unsaid:
            self._warn(message)

    def _attempt(self, group: Sequence[Statement]) -> list[tuple[Any, ...]]:
        """Run all or none of it, and its rows if it is one; what fails is lost and said, or waits again."""
        if self._off or not group:
            return []
        try:
            return self._run_healing(group)
        except FAILURES as error:
            if (
                len(group) > 1
                and self._connection is not None
                and not _is_corrupt(error)
                and not _is_busy(error)
            ):
                self._attempt_each(group)
            else:
                self._note_failure(error, group)
            return []

    def _attempt_each(self, group: Sequence[Statement]) -> None:
        """One of them is at fault, and the others are not to suffer for it."""
        for place, each in enumerate(group):
            try:
                self._run_healing([each])
            except FAILURES as error:
                self._note_failure(error, group[place:])
                if self._off or _is_busy(error):
                    return

    def _run_healing(self, group: Sequence[Statement]) -> list[tuple[Any, ...]]:
        try:
            return self._run(group)
        except sqlite3.DatabaseError as error:
            if self._healed or not _is_corrupt(error):
                raise
            self._heal(error)
            return self._run(group)

    def _run(self, group: Sequence[Statement]) -> list[tuple[Any, ...]]:
        """All of the group, or none; the rows of one that is alone."""
        # Another process may have set the file aside, or a person deleted it: what would be written
        # to the old inode, nobody would read.
        if self._connection is not None and self._inode != _inode(self.path):
            self._disconnect()
        if self._connection is None:
            self._connect()
        assert self._connection is not None
        if len(group) == 1:
            rows = self._connection.execute(*group[0]).fetchall()
            self._held = self._held and _asks(group[0][0])
            return rows
        with _transaction(self._connection) as connection:
            for sql, params in group:
                connection.execute(sql, params)
        self._held = False
        return []

    def _connect(self) -> None:
        durable.make_folder(self.path.parent)
        connection = sqlite3.connect(self.path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        self._inode = _inode(self.path)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # closing checkpoints, which may fail
                connection.close()

    def _heal(self, error: sqlite3.Error) -> None:
        self._healed = True
        self._disconnect()
        if self._inode != _inode(self.path):
            return  # another process saw it first, and what stands there now is its new file
        kept = self.path.with_name(f"{self.path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        # Left behind, SQLite would play them into the new file; moved after it, they may be another process's new ones.
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).replace(kept.with_name(kept.name + suffix))
        self._unsaid.append(
            f"{self.path} is corrupt ({error}) and was set aside as {kept.name}; what it held (metrics, "
            "verified files, the health of sources) begins anew"
        )

    def _note_failure(self, error: Exception, group: Sequence[Statement]) -> None:
        """Of the first of `group`; what another process keeps from being written waits again, with the rest."""
        corrupt = isinstance(error, sqlite3.Error) and _is_corrupt(error)
        # One that cannot be opened, or was corrupted again, would only fail again, and slowly.
        self._off = corrupt or self._connection is None
        self._held = not self._off and _is_busy(error)
        if corrupt:
            self._disconnect()
        if self._connection is not None and self._held:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA busy_timeout={BUSY_AGAIN_MS}")
        if self._held and not _asks(group[0][0]):
            self._let_wait(group)
        else:
            self._say_once(str(error))

    def _let_wait(self, group: Sequence[Statement]) -> None:
        """Until the other process is done, before what comes meanwhile."""
        if not self._later.put_back(group):
            self._say_once("another process does not let go of it")

    def _say_once(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            self._unsaid.append(f"{self.path} cannot be used ({why}); going on without it")


def _prepare(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes that make the file at the same time: this lock skips the busy timeout.
            if not _is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=NORMAL")
    if _version(connection) != len(MIGRATIONS):
        _migrate(connection)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        # The version is read again, now that no other process can be migrating
        for script in _pending(_version(connection)):
            for statement in script:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def _pending(version: int) -> tuple[tuple[str, ...], ...]:
    if version > len(MIGRATIONS):
        raise sqlite3.NotSupportedError("written by a newer version of this program")
    return MIGRATIONS[version:]


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _code(error: Exception) -> int:
    # The low byte is the primary code; the rest says which kind of it (sqlite.org/rescode.html).
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _is_corrupt(error: Exception) -> bool:
    return _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _is_busy(error: Exception) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _asks(sql: str) -> bool:
    """Whether it writes nothing, and so no other process's write is in its way."""
    return sql.startswith(("SELECT", "PRAGMA"))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino
