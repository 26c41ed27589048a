import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fallback.state import later
from fallback.state.db import Database

INSERT = "INSERT INTO source_health VALUES (?, ?)"
SELECT = "SELECT source, record FROM source_health ORDER BY source"


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite3"


@pytest.fixture
def db(path: Path, warnings: list[str]) -> Iterator[Database]:
    database = Database(path, warnings.append)
    yield database
    database.close()


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written by itself."""
    monkeypatch.setattr(later, "GROUP_S", 3600.0)


def others_see(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(SELECT).fetchall()
    finally:
        connection.close()


def until(seen: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 10
    while not seen() and time.monotonic() < ends_at:
        threading.Event().wait(0.005)
    assert seen()


@pytest.mark.usefixtures("by_hand")
def test_what_waits_is_written_before_what_is_asked_next_and_in_order(db: Database) -> None:
    """Whoever writes may read it at once, as if nothing waited."""
    db.later(INSERT, ("a", "1"))
    db.later("UPDATE source_health SET record = ? WHERE source = ?", ("2", "a"))
    assert db.execute(SELECT) == [("a", "2")]
    db.later(INSERT, ("b", "1"))
    db.execute("DELETE FROM source_health")
    assert db.execute(SELECT) == []


@pytest.mark.usefixtures("by_hand")
def test_what_waits_is_one_transaction(db: Database, path: Path) -> None:
    db.execute(SELECT)
    statements: list[str] = []
    assert db._connection is not None
    db._connection.set_trace_callback(statements.append)
    for name in "abc":
        db.later(INSERT, (name, "1"))
    assert others_see(path) == []
    db.execute(SELECT)
    assert [each.split()[0] for each in statements] == [
        "BEGIN",
        "INSERT",
        "INSERT",
        "INSERT",
        "COMMIT",
        "SELECT",
    ]
    assert others_see(path) == [(name, "1") for name in "abc"]


@pytest.mark.usefixtures("by_hand")
def test_a_close_writes_what_waits_and_ends_the_thread(db: Database, path: Path) -> None:
    threads = threading.active_count()
    db.later(INSERT, ("a", "1"))
    assert threading.active_count() == threads + 1
    db.close()
    assert threading.active_count() == threads
    assert others_see(path) == [("a", "1")]
    db.later(INSERT, ("b", "1"))
    assert threading.active_count() == threads


def test_it_is_written_though_nothing_follows(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer that takes hours keeps nothing from the disk."""
    monkeypatch.setattr(later, "GROUP_S", 0.01)
    db.execute(SELECT)
    for name in "ab":
        db.later(INSERT, (name, "1"))
        until(lambda name=name: (name, "1") in others_see(path))  # type: ignore[misc]


@pytest.mark.usefixtures("by_hand")
def test_more_than_a_disk_can_take_is_not_kept_in_memory(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(later, "MOST", 10)
    for number in range(95):
        db.later(INSERT, (str(number), "1"))
    assert len(db._later._waiting) <= 10
    assert len(db.execute(SELECT)) == 95


@pytest.mark.usefixtures("by_hand")
def test_one_that_cannot_be_written_takes_no_other_with_it(db: Database, warnings: list[str]) -> None:
    for value in ("1", 2**64, "3"):
        db.later(INSERT, (str(value)[:1], value))
    db.later("INSERT INTO nothing VALUES (?)", ("x",))
    db.later(INSERT, ("z", "4"))
    assert db.execute(SELECT) == [("1", "1"), ("3", "3"), ("z", "4")]
    assert len(warnings) == 1


@pytest.mark.usefixtures("by_hand")
def test_what_waited_survives_that_what_was_there_is_corrupt(
    db: Database, path: Path, warnings: list[str]
) -> None:
    path.write_bytes(b"no database at all" * 1000)
    db.later(INSERT, ("a", "1"))
    db.later(INSERT, ("b", "1"))
    assert db.execute(SELECT) == [("a", "1"), ("b", "1")]
    assert "is corrupt" in warnings[0]
    assert len(warnings) == 1


@pytest.mark.usefixtures("by_hand")
def test_another_process_that_holds_the_file_is_waited_for_once_for_all_that_waits(
    db: Database, path: Path, warnings: list[str]
) -> None:
    """Not once a statement."""
    db.execute("PRAGMA busy_timeout=1")
    db.execute(SELECT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tried: list[str] = []
    assert db._connection is not None
    db._connection.set_trace_callback(tried.append)
    for number in range(100):
        db.later(INSERT, (str(number), "1"))
    assert db.execute(SELECT) == []
    assert sum("BEGIN" in each for each in tried) == 1
    assert not any("INSERT" in each for each in tried)
    other.execute("ROLLBACK")
    other.close()
    assert len(warnings) == 1
    db.later(INSERT, ("a", "1"))
    assert db.execute(SELECT) == [("a", "1")]


@pytest.mark.usefixtures("by_hand")
def test_many_threads_lose_nothing(db: Database) -> None:
    def add(thread: int) -> None:
        for number in range(200):
            db.later(INSERT, (f"{thread} {number}", "1"))
            if number % 50 == thread:
                db.execute(SELECT)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(db.execute(SELECT)) == 1600


@pytest.mark.parametrize("late", ["_some", "_write"])
def test_a_thread_that_is_late_does_not_keep_the_end_waiting(
    late: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes has written what waits, and so cleared what the thread is about to wait for; or the thread does."""
    arrived, go_on = threading.Event(), threading.Event()
    waiting = later.Later(lambda: waiting.taken())  # noqa: PLW0108 - there is none yet
    monkeypatch.setattr(later, "GROUP_S", 0.0)

    def held_up(real: Callable[[], object]) -> Callable[[], object]:
        def call() -> object:
            if threading.current_thread().name == "fallback-state" and not arrived.is_set():
                arrived.set()
                go_on.wait(10)
            return real()

        return call

    if late == "_some":
        monkeypatch.setattr(waiting._some, "wait", held_up(waiting._some.wait))
    else:
        monkeypatch.setattr(waiting, "_write", held_up(waiting._write))
    waiting.add(("", ()))
    assert arrived.wait(10)
    closing = threading.Thread(target=waiting.close, daemon=True)
    closing.start()
    until(waiting._over.is_set)
    threading.Event().wait(0.1)  # until it waits for the thread
    go_on.set()
    closing.join(5)
    assert not closing.is_alive()
