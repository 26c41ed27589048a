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


@pytest.fixture
def stuck(db: Database, path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, in a write that it does not end; ours waits for it hardly at all."""
    db.execute("PRAGMA busy_timeout=1")
    db.execute(SELECT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


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
def test_what_another_process_keeps_out_is_waited_for_once_and_written_after_it_in_order(
    db: Database, warnings: list[str], stuck: sqlite3.Connection
) -> None:
    """Not once a statement, and not once a question; what is asked to be written meanwhile waits behind it."""
    tried: list[str] = []
    assert db._connection is not None
    db._connection.set_trace_callback(tried.append)
    for number in range(100):
        db.later(INSERT, (f"{number:02}", "1"))
    for _ in range(3):
        assert db.execute(SELECT) == []
    assert sum("BEGIN" in each for each in tried) == 1
    assert not any("INSERT" in each for each in tried)
    assert db.execute("DELETE FROM source_health WHERE source < ?", ("98",)) == []
    db.later(INSERT, ("97", "2"))
    assert sum("BEGIN" in each for each in tried) == 1
    stuck.execute("ROLLBACK")
    db.flush()
    assert db.execute(SELECT) == [("97", "2"), ("98", "1"), ("99", "1")]
    assert not warnings


@pytest.mark.usefixtures("by_hand")
def test_who_held_the_file_and_let_go_is_as_good_as_another(
    db: Database, warnings: list[str], stuck: sqlite3.Connection
) -> None:
    """Each write is written at once again."""
    db.execute(INSERT, ("a", "1"))
    stuck.execute("ROLLBACK")
    db.flush()
    db.later(INSERT, ("b", "1"))
    assert db.execute(SELECT) == [("a", "1"), ("b", "1")]
    assert not warnings


def test_what_another_process_kept_out_is_written_though_nothing_follows(
    db: Database, path: Path, monkeypatch: pytest.MonkeyPatch, stuck: sqlite3.Connection
) -> None:
    monkeypatch.setattr(later, "GROUP_S", 0.01)
    db.later(INSERT, ("a", "1"))
    until(lambda: db._held)
    stuck.execute("ROLLBACK")
    until(lambda: others_see(path) == [("a", "1")])


@pytest.mark.usefixtures("by_hand")
def test_no_more_waits_for_another_process_than_may_wait_at_all(
    db: Database, monkeypatch: pytest.MonkeyPatch, warnings: list[str], stuck: sqlite3.Connection
) -> None:
    """What is too much is lost at once and said once: a try in vain is not to be each statement's."""
    monkeypatch.setattr(later, "MOST", 10)
    tried: list[str] = []
    assert db._connection is not None
    db._connection.set_trace_callback(tried.append)
    for number in range(25):
        db.later(INSERT, (f"{number:02}", "1"))
    assert sum("BEGIN" in each for each in tried) == 2
    stuck.execute("ROLLBACK")
    db.flush()
    assert [name for name, _ in db.execute(SELECT)] == ["22", "23", "24"]
    assert len(warnings) == 1
    assert "another process does not let go of it" in warnings[0]


@pytest.mark.usefixtures("by_hand")
def test_what_another_process_keeps_out_to_the_end_is_said(
    db: Database, warnings: list[str], stuck: sqlite3.Connection
) -> None:
    db.later(INSERT, ("a", "1"))
    assert db.execute(SELECT) == []
    assert not warnings
    db.close()
    assert len(warnings) == 1
    stuck.execute("ROLLBACK")
    assert stuck.execute(SELECT).fetchall() == []


@pytest.mark.usefixtures("by_hand")
def test_one_that_is_at_fault_does_not_make_what_another_process_keeps_out_be_lost(
    db: Database, warnings: list[str], stuck: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is tried alone then; one that has to wait takes those after it along."""
    real, tried = db._run, []

    def run(group: list[later.Statement]) -> list[tuple[object, ...]]:
        tried.append(len(group))
        if len(group) > 1:
            raise OverflowError("an int over 64 bits")
        return real(group)

    with monkeypatch.context() as patched:
        patched.setattr(db, "_run", run)
        for name in "abc":
            db.later(INSERT, (name, "1"))
        db.flush()
    assert tried == [3, 1]
    stuck.execute("ROLLBACK")
    db.flush()
    assert [name for name, _ in db.execute(SELECT)] == ["a", "b", "c"]
    assert not warnings


@pytest.mark.usefixtures("by_hand")
def test_a_database_that_is_given_up_within_a_group_is_not_tried_with_the_rest_of_it(
    db: Database, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute(SELECT)
    tried: list[str] = []

    def run(group: list[later.Statement]) -> list[tuple[object, ...]]:
        if len(group) > 1:
            raise OverflowError("an int over 64 bits")
        tried.append(group[0][1][0])
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    db._healed = True
    monkeypatch.setattr(db, "_run", run)
    for name in "abc":
        db.later(INSERT, (name, "1"))
    assert db.execute(SELECT) == []
    assert tried == ["a"]
    assert len(warnings) == 1


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


@pytest.mark.usefixtures("by_hand")
def test_what_is_put_back_comes_before_what_came_meanwhile() -> None:
    waiting = later.Later(lambda: None)
    one, two, three = ("1", ()), ("2", ()), ("3", ())
    waiting.add(one)
    waiting.add(two)
    taken = waiting.taken()
    waiting.add(three)
    assert waiting.put_back(taken)
    assert waiting.taken() == [one, two, three]
    waiting.close()
    assert not waiting.put_back([one])
