"""The tables through the modules that speak for them."""

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.health import Health
from fallback.state import State, later
from fallback.state import attempts as attempts_module
from fallback.state.attempts import Record
from fallback.state.verified import HASTE_BYTES, Row


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A State that never warns."""
    with State(tmp_path / "state", pytest.fail) as opened:
        yield opened


def record(timestamp: float, **changes: Any) -> Record:
    usual = Record(timestamp, "tts", "voice", "a.onnx", "ipfs", "dweb.link", "success", 12.5, 7, 7)
    return usual._replace(**changes)


def row_of(stat: os.stat_result, sha256: str = "ab") -> Row:
    return Row(
        stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256, 1.5, "ipfs", "dweb.link"
    )


class TestVerified:
    def test_put_get_drop(self, state: State, tmp_path: Path) -> None:
        row = row_of(tmp_path.stat())
        assert state.verified.get("tts/a") is None
        state.verified.put("tts/a", row._replace(size=0))
        state.verified.put("tts/a", row)
        state.verified.put("tts/b", row)
        assert state.verified.get("tts/a") == row
        assert state.verified.all() == {"tts/a": row, "tts/b": row}
        state.verified.drop("tts/a")
        assert state.verified.get("tts/a") is None
        assert set(state.verified.all()) == {"tts/b"}

    def test_a_large_file_s_row_is_there_for_others_at_once(
        self, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever waited for the file's lock would hash it again; small ones are written together."""
        monkeypatch.setattr(later, "GROUP_S", 3600.0)
        row = row_of(tmp_path.stat())
        with State(state.db.path.parent, pytest.fail) as theirs:
            state.verified.put("small", row._replace(size=HASTE_BYTES))
            assert theirs.verified.get("small") is None
            state.verified.put("large", row._replace(size=HASTE_BYTES + 1))
            assert set(theirs.verified.all()) == {"small", "large"}

    @pytest.mark.parametrize("inode", [0, 2**63, 2**64 - 1])
    def test_an_inode_of_64_bits_is_kept(self, state: State, tmp_path: Path, inode: int) -> None:
        row = row_of(tmp_path.stat())._replace(inode=inode)
        state.verified.put("a", row)
        assert state.verified.get("a") == row

    def test_a_row_matches_the_file_it_was_made_of(self, tmp_path: Path) -> None:
        stat = tmp_path.stat()
        assert row_of(stat).matches(stat, "ab")
        assert not row_of(stat).matches(stat, "cd")

    @pytest.mark.parametrize("name", ["size", "mtime_ns", "ctime_ns", "inode"])
    def test_any_difference_is_no_match(self, tmp_path: Path, name: str) -> None:
        stat = tmp_path.stat()
        row = row_of(stat)
        other = row._replace(**{name: getattr(row, name) + 1})
        assert not other.matches(stat, "ab")

    def test_a_row_of_junk_is_none(self, state: State) -> None:
        state.db.execute("INSERT INTO verified (path, size, inode) VALUES ('a', 'x', NULL)")
        assert state.verified.get("a") is None
        assert state.verified.all() == {}

    def test_a_row_of_infinity_is_none(self, state: State) -> None:
        """SQLite keeps it where whole numbers belong, and an integer it cannot be."""
        state.db.execute("INSERT INTO verified (path, size) VALUES ('x', 9e999)")
        assert state.verified.get("x") is None
        assert state.verified.all() == {}


@pytest.mark.parametrize("table", ["ipfs_cids", "ipfs_downloads"])
def test_a_table_of_somebody_else_has_rows_without_ids(state: State, table: str) -> None:
    """`CREATE TABLE … AS` keeps the columns' names and nothing else."""
    state.db.execute("SELECT 1")
    for statement in (
        f"CREATE TABLE old AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE old RENAME TO {table}",
        f"INSERT INTO {table} (id) VALUES (NULL)",
        f"UPDATE {table} SET {'modelName' if table == 'ipfs_cids' else 'downloadPath'} = 'x'",
    ):
        state.db.execute(statement)
    if table == "ipfs_cids":
        state.db.execute("UPDATE ipfs_cids SET modelType = 'y'")
        assert state.cids.newest("x", "y") is None
    else:
        state.db.execute("UPDATE ipfs_downloads SET status = 'pending'")
        state.downloads.begun("x", total=None, sha256=None, cid=None, now=1.0)
        assert state.downloads.newest() == []


class TestCids:
    def test_the_newest_is_the_one_added_last_whatever_the_clock_says(self, state: State) -> None:
        assert state.cids.newest("whisper-base", "stt") is None
        for cid, now in [("one", 100.0), ("two", 50.0)]:
            state.cids.add(cid, "whisper-base", "stt", now=now)
        assert state.cids.newest("whisper-base", "stt") == "two"
        state.cids.add("one", "whisper-base", "stt", now=60.0)
        assert state.cids.newest("whisper-base", "stt") == "one"

    def test_one_cid_may_serve_several_models(self, state: State) -> None:
        """The original's UNIQUE cid gave the second model's row to the first."""
        state.cids.add("same", "whisper-base", "stt", now=1.0)
        state.cids.add("same", "tts", "voice", now=2.0)
        assert state.cids.newest("whisper-base", "stt") == "same"
        assert state.cids.newest("tts", "voice") == "same"
        assert state.cids.newest("tts", "stt") is None

    def test_a_cid_that_was_given_up_and_came_back_counts_in_its_newest_row(self, state: State) -> None:
        for cid in ("a", "b", "a"):
            state.cids.add(cid, "tts", "voice", now=1.0)
        state.cids.used("a", "tts", "voice", now=2.0, ok=True)
        state.cids.used("a", "tts", "other", now=2.0, ok=True)
        counts = state.db.execute("SELECT cid, success_count FROM ipfs_cids ORDER BY id")
        assert counts == [("a", 0), ("b", 0), ("a", 1)]

    def test_adding_it_again_adds_no_row(self, state: State) -> None:
        state.cids.add("one", "tts", "voice", now=1.0, model_hash="h")
        state.cids.add("one", "tts", "voice", now=2.0, gateway_url="https://dweb.link")
        assert state.db.execute(
            "SELECT cid, modelName, modelType, modelHash, gatewayUrl, cached_at, last_accessed_at,"
            " success_count, failure_count FROM ipfs_cids"
        ) == [("one", "tts", "voice", "h", "https://dweb.link", 1.0, 2.0, 0, 0)]


class TestAttempts:
    def test_what_was_added_comes_back(self, state: State) -> None:
        full = record(2.0, error_type="throttled", error_message="429")
        bare = record(3.0, layer=None, gateway=None, bytes_total=None)
        for one in (full, bare):
            state.attempts.add(one)
        assert state.attempts.since(0.0) == [full, bare]
        assert state.attempts.since(2.5) == [bare]

    def test_the_order_is_that_of_events_also_when_the_clock_goes_backwards(self, state: State) -> None:
        for timestamp in (30.0, 10.0, 20.0):
            state.attempts.add(record(timestamp))
        assert [one.timestamp for one in state.attempts.since(0.0)] == [30.0, 10.0, 20.0]

    def test_ids_are_not_used_again_after_a_prune(self, state: State) -> None:
        state.attempts.add(record(1.0))
        state.attempts.clear()
        state.attempts.add(record(2.0))
        assert state.db.execute("SELECT id FROM attempts") == [(2,)]

    def test_prune_forgets_the_old_and_what_a_wrong_clock_put_into_the_future(self, state: State) -> None:
        for timestamp in (1.0, 5.0, 9.0):
            state.attempts.add(record(timestamp))
        state.attempts.prune(5.0)
        assert [one.timestamp for one in state.attempts.since(0.0)] == [5.0, 9.0]
        state.attempts.prune(0.0, beyond=8.0)
        assert [one.timestamp for one in state.attempts.since(0.0)] == [5.0]

    def test_a_huge_table_is_read_bounded_and_pruned(
        self, state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state.attempts.add(record(1.0))
        state.db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
            " INSERT INTO attempts (timestamp, model, modelType, file, status, latency_ms)"
            " SELECT i, 'tts', 'voice', 'f', 'error', 1 FROM n"
        )
        monkeypatch.setattr(attempts_module, "LIMIT", 1000)
        newest = state.attempts.since(0.0)
        assert (len(newest), newest[0].timestamp, newest[-1].timestamp) == (1000, 199001.0, 200000.0)
        state.attempts.prune(199991.0)
        assert len(state.attempts.since(0.0)) == 10

    @pytest.mark.parametrize("timestamp", ["'junk'", "1e300", "-1"])
    def test_junk_is_not_read(self, state: State, timestamp: str) -> None:
        state.db.execute(f"INSERT INTO attempts (timestamp, latency_ms) VALUES ({timestamp}, 1)")
        state.db.execute("INSERT INTO attempts (timestamp, latency_ms) VALUES (1, 'junk')")
        assert state.attempts.since(0.0) == []


moments = st.floats(0, 1e12, allow_nan=False)
healths = st.builds(
    Health,
    failures=st.integers(0, 99),
    streak=st.integers(0, 99),
    failed_at=moments,
    cooling_until=moments,
    firm=st.booleans(),
    retired=st.booleans(),
    reason=st.text(),
    bans=st.dictionaries(st.text("0123456789abcdef", max_size=64), moments, max_size=3),
)


class TestKnownHealth:
    @given(health=healths)
    def test_what_was_saved_is_loaded(self, tmp_path_factory: pytest.TempPathFactory, health: Health) -> None:
        with State(tmp_path_factory.getbasetemp() / "health", pytest.fail) as state:
            state.health.forget("dweb.link")
            state.health.save("dweb.link", health)
            assert state.health.load() == {"dweb.link": health}

    def test_what_lasts_is_not_lost_to_a_process_that_did_not_know_it(self, state: State) -> None:
        """A ban or a retirement that another run found; a ban that is over is dropped."""
        later = time.time() + 1000
        state.health.save("dweb.link", Health(retired=True, bans={"ab": later, "old": 5.0}))
        state.health.save("dweb.link", Health(failures=2, bans={"cd": later}))
        [known] = state.health.load().values()
        assert known == Health(failures=2, retired=True, bans={"ab": later, "cd": later})

    def test_forget_says_whether_there_was_anything(self, state: State) -> None:
        state.health.save("dweb.link", Health(retired=True, reason="gone"))
        assert state.health.forget("dweb.link") is True
        assert state.health.forget("dweb.link") is False
        assert state.health.load() == {}

    @pytest.mark.parametrize(
        "junk",
        [
            "",
            "{",
            "[]",
            "null",
            "7",
            "[" * 100_000,
            '{"failures": "1"}',
            '{"failures": true}',
            '{"streak": -1}',
            '{"failed_at": null}',
            '{"cooling_until": NaN}',
            '{"cooling_until": "soon"}',
            '{"firm": 1}',
            '{"retired": "no"}',
            '{"reason": null}',
            '{"bans": []}',
            '{"bans": {"ab": "x"}}',
            '{"bans": {"ab": Infinity}}',
            b"\x00\xff",
        ],
    )
    def test_junk_is_ignored(self, state: State, junk: str | bytes) -> None:
        state.health.save("good", Health(streak=2))
        state.db.execute("INSERT INTO source_health VALUES ('bad', ?)", (junk,))
        assert state.health.load() == {"good": Health(streak=2)}

    def test_a_key_of_a_later_version_does_no_harm(self, state: State) -> None:
        text = json.dumps({"streak": 3, "later": math.pi})
        state.db.execute("INSERT INTO source_health VALUES ('a', ?)", (text,))
        assert state.health.load() == {"a": Health(streak=3)}


class TestDownloads:
    def test_progress_makes_it_in_progress_but_a_resumed_one_stays_so(self, state: State) -> None:
        """Whoever reads the table sees that bytes of before were kept."""
        state.downloads.begun("a", total=9, sha256=None, cid=None, now=1.0)
        assert [each.status for each in state.downloads.newest()] == ["pending"]
        state.downloads.progressed("a", received=2, size=2)
        assert [each.status for each in state.downloads.newest()] == ["in_progress"]
        state.downloads.paused("a")
        state.downloads.begun("a", total=9, sha256=None, cid=None, now=2.0)
        state.downloads.progressed("a", received=3, size=5)
        [found] = state.downloads.newest()
        assert (found.status, found.downloaded_bytes, found.currentSize) == ("resuming", 5, 5)


class TestChunks:
    def test_a_list_of_another_length_is_none(self, state: State) -> None:
        """It cannot be of this file, cut into chunks of this size."""
        state.chunks.put("ab", ["11" * 32, "22" * 32])
        assert state.chunks.get("ab", 15, 10) == ("11" * 32, "22" * 32)
        assert [state.chunks.get("ab", size, 10) for size in (10, 21)] == [(), ()]
        assert state.chunks.get("cd", 15, 10) == ()


def test_every_table_answers_nothing_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    """P11, at the surface the engine sees."""
    warnings: list[str] = []
    (tmp_path / "file").write_text("")
    with State(tmp_path / "file", warnings.append) as state:
        state.verified.put("a", row_of(tmp_path.stat()))
        state.cids.add("c", "m", "t", now=1.0)
        state.attempts.add(record(1.0))
        state.health.save("s", Health())
        state.attempts.prune(1.0)
        assert (state.verified.get("a"), state.cids.newest("m", "t")) == (None, None)
        assert (state.attempts.since(0.0), state.health.load()) == ([], {})
        assert state.health.forget("s") is False
    assert len(warnings) == 1


def test_a_great_many_are_forgotten_in_turns(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whoever waits to write gets in between; and a database that fails ends it."""
    monkeypatch.setattr("fallback.state.attempts.BATCH", 10)
    for number in range(35):
        state.attempts.add(record(1.0 if number % 5 else 100.0))
    asked: list[str] = []
    execute = state.db.execute

    def noted(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return execute(sql, params)

    monkeypatch.setattr(state.db, "execute", noted)
    state.attempts.prune(50)
    assert [each.timestamp for each in state.attempts.since(0)] == [100.0] * 7
    assert sum(sql.startswith("DELETE") for sql in asked) == 3
    monkeypatch.setattr(state.db, "execute", lambda _sql, _params=(): [])
    state.attempts.prune(500)
