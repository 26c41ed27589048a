import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from fallback.state.db import Database, _inode, _prepare
from fallback.state.tables import MIGRATIONS

INSERT = "INSERT INTO source_health VALUES (?, ?)"
SELECT = "SELECT source, record FROM source_health ORDER BY source"


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.sqlite3"


@pytest.fixture
def db(path: Path, warnings: list[str]) -> Iterator[Database]:
    database = Database(path, warnings.append)
    yield database
    database.close()


def test_nothing_is_made_before_the_first_use(db: Database, path: Path) -> None:
    assert not path.parent.exists()
    db.execute(INSERT, ("a", "1"))
    assert db.execute(SELECT) == [("a", "1")]
    assert db.execute("PRAGMA journal_mode") == [("wal",)]
    assert db.execute("PRAGMA synchronous") == [(1,)]
    assert db.execute("PRAGMA busy_timeout") == [(5000,)]
    assert db.execute("PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_what_was_written_is_there_for_the_next_one(db: Database, path: Path, warnings: list[str]) -> None:
    db.execute(INSERT, ("a", "1"))
    db.close()
    again = Database(path, warnings.append)
    assert again.execute(SELECT) == [("a", "1")]
    again.close()
    assert not warnings


def test_a_closed_database_answers_nothing_and_stays_closed(
    db: Database, path: Path, warnings: list[str]
) -> None:
    db.close()
    assert db.execute(INSERT, ("a", "1")) == []
    db.close()
    assert not path.exists()
    assert not warnings


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 1000)


def _broken_header_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 3996 + path.read_bytes()[4096:])


def _cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_garbage, _broken_header_page, _cut_in_half])
def test_a_corrupt_file_is_set_aside_and_made_anew(
    path: Path, warnings: list[str], damage: Callable[[Path], None]
) -> None:
    first = Database(path, pytest.fail)
    for number in range(2000):
        first.execute(INSERT, (f"{number}", "x" * 50))
    first.close()
    damage(path)
    was = path.read_bytes()

    db = Database(path, warnings.append)
    db.execute(SELECT)
    db.execute(INSERT, ("new", "1"))
    assert db.execute(SELECT) == [("new", "1")]
    db.close()

    kept = [entry for entry in path.parent.iterdir() if ".corrupt-" in entry.name]
    assert [entry.read_bytes() for entry in kept if not entry.name.endswith(("-wal", "-shm"))] == [was]
    assert len(warnings) == 1
    assert "set aside as state.sqlite3.corrupt-" in warnings[0]


def test_the_journals_of_a_corrupt_file_go_with_it(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else SQLite would play the old WAL into the new file. And first: after it, they may be another process's new ones."""
    moved: list[str] = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        moved.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(suffix)
    db._inode = _inode(path)
    db._heal(sqlite3.DatabaseError("malformed"))
    assert moved[-1] == path.name
    kept = {entry.name[-4:]: entry.read_text() for entry in path.parent.iterdir()}
    assert kept["-wal"] == "-wal"
    assert kept["-shm"] == "-shm"
    assert len(kept) == 3
    assert all(".corrupt-" in entry.name for entry in path.parent.iterdir())


def test_what_another_process_healed_meanwhile_is_not_set_aside(
    db: Database, path: Path, warnings: list[str]
) -> None:
    db.execute(INSERT, ("a", "1"))
    path.rename(path.with_name("theirs"))
    path.write_text("their new file")
    db._heal(sqlite3.DatabaseError("malformed"))
    assert path.read_text() == "their new file"
    assert not warnings
    path.unlink()


def test_corruption_found_while_open_is_healed_once_and_then_given_up(
    db: Database, path: Path, warnings: list[str]
) -> None:
    def damage() -> None:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.write(b"\xff" * 4096)
        # As another process's write would, this makes the connection read the pages again
        db.execute("PRAGMA shrink_memory")

    db.execute(INSERT, ("a", "1"))
    damage()
    assert db.execute(SELECT) == []
    db.execute(INSERT, ("b", "2"))
    assert db.execute(SELECT) == [("b", "2")]
    assert len(warnings) == 1
    damage()
    assert db.execute(SELECT) == []
    assert db.execute(INSERT, ("c", "3")) == []
    assert len(warnings) == 2
    assert "going on without it" in warnings[1]


def _parent_is_a_file(path: Path) -> None:
    path.parent.write_text("a file")


def _is_a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def _newer_version(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()


def _another_program(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE attempts (theirs)")
    connection.close()


@pytest.mark.parametrize("obstacle", [_parent_is_a_file, _is_a_folder, _newer_version, _another_program])
def test_a_database_that_cannot_be_opened_is_said_once_and_left_alone(
    db: Database, path: Path, warnings: list[str], obstacle: Callable[[Path], None]
) -> None:
    obstacle(path)
    for _ in range(3):
        assert db.execute(INSERT, ("a", "1")) == []
        assert db.execute(SELECT) == []
    assert len(warnings) == 1
    assert str(path) in warnings[0]


def test_what_failed_to_open_is_not_tried_again(db: Database, path: Path) -> None:
    """It may cost the busy timeout each time."""
    path.parent.write_text("a file")
    db.execute(SELECT)
    path.parent.unlink()
    db.execute(SELECT)
    assert not path.parent.exists()


def test_the_file_of_a_newer_version_is_not_touched(db: Database, path: Path, warnings: list[str]) -> None:
    _newer_version(path)
    db.execute(SELECT)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    connection.close()
    assert "newer version" in warnings[0]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_once(db: Database, path: Path, warnings: list[str]) -> None:
    path.parent.mkdir(mode=0o500)
    assert [db.execute(SELECT), db.execute(INSERT, ("a", "1"))] == [[], []]
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "obstacle", ["PRAGMA query_only=1", "PRAGMA max_page_count=1"], ids=["read-only", "disk full"]
)
def test_a_write_that_fails_is_said_once_and_reads_go_on(
    db: Database, warnings: list[str], obstacle: str
) -> None:
    db.execute(INSERT, ("a", "1"))
    db.execute(obstacle)
    for name in "bcd":
        assert db.execute(INSERT, (name, "x" * 100_000)) == []
    assert db.execute(SELECT) == [("a", "1")]
    assert len(warnings) == 1


@pytest.mark.parametrize("value", [2**64, "\udcff", object()], ids=["65 bits", "surrogate", "object"])
def test_a_value_sqlite_cannot_hold_is_said_not_raised(
    db: Database, warnings: list[str], value: object
) -> None:
    assert db.execute(INSERT, ("a", value)) == []
    assert len(warnings) == 1


def test_a_file_that_was_deleted_meanwhile_is_made_again(
    db: Database, path: Path, warnings: list[str]
) -> None:
    db.execute(INSERT, ("a", "1"))
    for entry in path.parent.iterdir():
        entry.unlink()
    db.execute(INSERT, ("b", "2"))
    assert path.exists()
    assert db.execute(SELECT) == [("b", "2")]
    assert not warnings


def test_a_stuck_process_costs_the_busy_timeout_once(
    db: Database, path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fallback.state.db.BUSY_S", 0.2)
    db.execute(SELECT)
    stuck = sqlite3.connect(path, isolation_level=None)
    stuck.execute("BEGIN IMMEDIATE")
    assert db.execute(INSERT, ("a", "1")) == []
    assert db.execute("PRAGMA busy_timeout") == [(50,)]
    stuck.close()
    db.execute(INSERT, ("b", "2"))
    db.flush()
    assert db.execute(SELECT) == [("a", "1"), ("b", "2")]
    assert not warnings


def test_a_warning_may_use_the_database(path: Path) -> None:
    """`warn` is called outside the lock: it may wait for a thread that waits for the lock."""
    path.parent.write_text("a file")
    answers: list[list[tuple[object, ...]]] = []

    def warn(_: str) -> None:
        thread = threading.Thread(target=lambda: answers.append(failing.execute(SELECT)), daemon=True)
        thread.start()
        thread.join(5)

    failing = Database(path, warn)
    failing.execute(SELECT)
    assert answers == [[]]


WRITER = """
import sys
from pathlib import Path
from fallback.state.db import Database
def warn(message): sys.exit(message)
db = Database(Path(sys.argv[1]), warn)
sys.stdin.readline()
for number in range(200):
    db.execute("INSERT INTO source_health VALUES (?, ?)", (f"{sys.argv[2]}-{number}", "{}"))
db.close()
"""


def test_processes_that_make_and_write_it_at_once_lose_nothing(db: Database, path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(name)], stdin=subprocess.PIPE)
        for name in range(3)
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(30) for writer in writers] == [0, 0, 0]
    assert len(db.execute(SELECT)) == 600


def test_many_that_make_the_file_in_the_same_moment_all_get_it(path: Path, warnings: list[str]) -> None:
    for round_ in range(10):
        file = path.with_name(f"{round_}.sqlite3")
        together = threading.Barrier(6)

        def make(file: Path = file, together: threading.Barrier = together) -> None:
            database = Database(file, warnings.append)
            together.wait()
            database.execute(SELECT)
            database.close()

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not warnings


class _BusyAtFirst:
    """A connection whose switch to WAL is busy `times`, as it is without asking the busy timeout."""

    def __init__(self, real: sqlite3.Connection, times: int) -> None:
        self.real, self.times = real, times

    def execute(self, sql: str) -> sqlite3.Cursor:
        if "journal_mode" in sql and self.times:
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return self.real.execute(sql)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


def test_the_switch_to_wal_waits_for_whoever_does_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(cast("sqlite3.Connection", _BusyAtFirst(real, 2)))
    monkeypatch.setattr("fallback.state.db.BUSY_S", 0.1)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        _prepare(cast("sqlite3.Connection", _BusyAtFirst(real, 1000)))
    real.close()


def test_threads_share_it(db: Database, warnings: list[str]) -> None:
    def write(name: int) -> None:
        for number in range(100):
            db.execute(INSERT, (f"{name}-{number}", "{}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(db.execute(SELECT)) == 400
    assert not warnings
