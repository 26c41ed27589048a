"""A hostile state database: bits flipped, cut, pages of junk, other people's tables. No file is right or wrong by it."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback import Settings, checking, report, sync
from fallback.errors import FallbackError
from fallback.events import Warned
from fallback.state import FILE_NAME, State
from tests.hostile.conftest import BYTES
from tests.hostile.fuzzing import examples, tried

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.events import Event

PAGE = 4096
TABLES = (
    "attempts",
    "verified",
    "ipfs_cids",
    "source_health",
    "chunks",
    "ipfs_downloads",
    "versions",
    "etags",
)


@pytest.fixture(name="settings")
def _settings(filled: Path) -> Settings:
    """Of a folder that is complete, and a state that knows it is; nobody can be asked."""
    settings = Settings(models_dir=filled, reserve_bytes=0, offline=True, jobs=1)
    assert sync(settings=settings).ok
    with State(settings.state_path, pytest.fail) as state:
        state.cids.add("bafyone", "tiny", "stt", now=1.0)
        state.db.execute("INSERT INTO source_health VALUES ('a.example', '{}')")
        state.chunks.put("0" * 64, ["1" * 64, "2" * 64])
    (filled.parent / "good").write_bytes((settings.state_path / FILE_NAME).read_bytes())
    return settings


def asked_everything(settings: Settings) -> None:
    """All that is ever asked of the state: answers or a refusal that was meant, and no byte of a file changes for it."""
    told: list[Event] = []
    for wrong in (False, True):
        path = settings.models_dir / "org/tiny/config.json"
        if wrong:
            path.write_bytes(b"[]" * 100)
        with contextlib.suppress(FallbackError):
            assert sync(settings=settings, observer=told.append).ok is not wrong
        path.unlink(missing_ok=True)
        path.write_bytes(BYTES["config.json"])
    for ask in (
        lambda: report.status(settings),
        lambda: report.sources(settings),
        lambda: report.preview(settings),
        lambda: checking.check_files(settings),
        lambda: report.metrics_report(settings, "records"),
        lambda: report.metrics_report(settings, "summary"),
        lambda: report.metrics_report(settings, "health"),
        lambda: report.forget(settings, ["a.example"]),
        lambda: report.metrics_report(settings, "reset"),
    ):
        with contextlib.suppress(FallbackError):
            ask()
    with State(settings.state_path, lambda _message: None) as state:
        state.downloads.newest()
        state.verified.all()
        state.cids.newest("tiny", "stt")
    assert sum(isinstance(event, Warned) for event in told) < 10, told
    for name, data in BYTES.items():
        assert (settings.models_dir / "org/tiny" / name).read_bytes() == data


def placed(settings: Settings, data: bytes) -> None:
    """The state's file holds `data`, and nothing lies beside it."""
    shutil.rmtree(settings.state_path)
    settings.state_path.mkdir()
    (settings.state_path / FILE_NAME).write_bytes(data)


@st.composite
def rotten(draw: st.DrawFn, good: bytes) -> bytes:
    """A database with bits flipped, pages of junk, zeros or of elsewhere, or cut."""
    data, pages = bytearray(good), len(good) // PAGE
    rolled = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, pages - 1)) * PAGE
        match draw(st.sampled_from(["bits", "bits", "junk", "zeros", "moved", "cut", "head"])):
            case "bits":
                for _bit in range(rolled.randrange(1, 30)):
                    data[rolled.randrange(len(data))] ^= 1 << rolled.randrange(8)
            case "junk":
                data[at : at + PAGE] = rolled.randbytes(PAGE)
            case "zeros":
                data[at : at + PAGE] = bytes(PAGE)
            case "moved":
                other = rolled.randrange(pages) * PAGE
                data[at : at + PAGE] = data[other : other + PAGE]
            case "cut":
                del data[rolled.randrange(len(data)) :]
                data += bytes(len(good) - len(data)) if rolled.random() < 0.5 else b""
                data += bytes(max(0, PAGE - len(data)))
            case _:
                data[16 + rolled.randrange(84)] = rolled.randrange(256)
    return bytes(data)


@examples(8)
@given(data=st.data())
def test_a_database_that_rotted(settings: Settings, data: st.DataObject) -> None:
    placed(settings, data.draw(rotten((settings.models_dir.parent / "good").read_bytes())))
    with tried("state database, rotten"):
        asked_everything(settings)


VALUES = st.sampled_from(
    [None, 0, -1, 1, 2**62, 1.5, 1e308, float("inf"), "", "x", "9" * 30, "a\0b", "{}", "[]", b"", b"\xff\xfe", "../../x", "\x1b[2J"]
)  # fmt: skip


@st.composite
def foreign(draw: st.DrawFn) -> list[str]:
    """SQL that leaves a schema which is not ours, though it says so: a table gone, of other columns, a view, or of any types."""
    made = []
    for table in draw(st.lists(st.sampled_from(TABLES), min_size=1, max_size=4, unique=True)):
        made.append(f"ALTER TABLE {table} RENAME TO old_{table}")
        match draw(st.sampled_from(["gone", "other", "view", "loose"])):
            case "other":
                made.append(f"CREATE TABLE {table} (id, a, b)")
            case "view":
                made.append(f"CREATE VIEW {table} AS SELECT * FROM old_{table}")
            case "loose":
                made.append(f"CREATE TABLE {table} AS SELECT * FROM old_{table}")
    version = draw(st.sampled_from([None, None, None, 0, 1, 2, 1000, -1]))
    return [*made, *([f"PRAGMA user_version={version}"] if version is not None else [])]


@examples(8)
@given(data=st.data())
def test_a_database_of_somebody_else(settings: Settings, data: st.DataObject) -> None:
    """Its tables are called as ours are, and hold anything; SQLite's types are only advice."""
    placed(settings, (settings.models_dir.parent / "good").read_bytes())
    with contextlib.closing(sqlite3.connect(settings.state_path / FILE_NAME, isolation_level=None)) as db:
        for statement in data.draw(foreign()):
            db.execute(statement)
        for table in TABLES:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            chosen = data.draw(st.sampled_from([*columns, ""]))
            values: list[Any] = data.draw(st.lists(VALUES, min_size=len(columns), max_size=len(columns)))
            with contextlib.suppress(sqlite3.Error):
                if chosen:
                    db.execute(f'UPDATE {table} SET "{chosen}" = ?', (data.draw(VALUES),))
                db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", values)
    with tried("state database, foreign"):
        asked_everything(settings)
        asked_everything(replace(settings, metrics_retention_h=1e6))
