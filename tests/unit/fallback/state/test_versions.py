"""What was said of versions, and under which ETag: kept, and junk is as good as nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fallback.state import FILE_NAME, State, remembered
from fallback.state.etags import Tagged
from fallback.state.versions import Known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = Known("https://hub/api", 1.0, 2.0, "ab", 1.0, None, "", "cd", ("a", "b"))


@pytest.fixture(name="state")
def _state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path, pytest.fail) as state:
        yield state


def test_what_is_put_is_got(state: State) -> None:
    assert state.versions.get("tiny") is None
    state.versions.put("tiny", Known("q", 0.0, 0.0))
    state.versions.put("tiny", KNOWN)
    assert state.versions.get("tiny") == KNOWN


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("asked_at", "soon"),
        ("due_at", float("inf")),
        ("known_at", -1.0),
        ("unknown_since", b"x"),
        ("found", b"x"),
        ("problem", b"\xff"),
        ("differing", "{"),
        ("differing", "[1]"),
        ("differing", "[null]"),
        ("differing", "[" * 100_000),
    ],
)
def test_a_row_that_makes_no_sense_is_none(state: State, column: str, value: Any) -> None:
    state.versions.put("tiny", KNOWN)
    state.db.execute(f"UPDATE versions SET {column} = ?", (value,))
    assert state.versions.get("tiny") is None


def test_an_etag_that_could_break_a_header_is_not_kept(state: State) -> None:
    for etag in ("", "bare", '"a\r\nX: y"', '"\u00e9"', '"' + "a" * 513 + '"'):
        state.etags.put("u", Tagged(etag, "said"), now=1.0)
        assert state.etags.get("u") is None
    state.etags.put("u", Tagged('W/"a"', "said"), now=1.0)
    assert state.etags.get("u") == Tagged('W/"a"', "said")
    state.db.execute("UPDATE etags SET etag = 'a\nb'")
    assert state.etags.get("u") is None


def test_old_etags_are_forgotten(state: State) -> None:
    for number in (1.0, 2.0):
        state.etags.put(f"u{number}", Tagged('"a"', "said"), now=number)
    state.etags.prune(2.0)
    assert [state.etags.get("u1.0"), state.etags.get("u2.0")] == [None, Tagged('"a"', "said")]


def test_a_superseded_cid_is_not_the_newest_and_may_come_again(state: State) -> None:
    state.cids.add("bafyone", "tiny", "stt", now=1.0)
    state.cids.add("bafyother", "other", "stt", now=1.0)
    state.cids.supersede("tiny", "stt", now=2.0)
    assert (state.cids.newest("tiny", "stt"), state.cids.newest("other", "stt")) == (None, "bafyother")
    state.cids.reinstate(2.0)
    assert state.cids.newest("tiny", "stt") == "bafyone"
    state.cids.supersede("tiny", "stt", now=3.0)
    state.cids.add("bafyone", "tiny", "stt", now=4.0)
    assert state.cids.newest("tiny", "stt") == "bafyone"


def test_a_question_makes_no_folder(tmp_path: Path) -> None:
    with remembered(tmp_path / "absent", pytest.fail) as state:
        assert state.versions.get("tiny") is None
    assert not (tmp_path / "absent").exists()
    with State(tmp_path / "there", pytest.fail) as state:
        state.versions.put("tiny", KNOWN)
    with remembered(tmp_path / "there", pytest.fail) as state:
        assert state.versions.get("tiny") == KNOWN
        assert state.db.path == tmp_path / "there" / FILE_NAME
