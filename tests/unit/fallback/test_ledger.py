"""A ledger is knowledge that may be lost: whatever stands in the file, reading it never fails."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ledger import MAX_BYTES, Ledger, Response
from fallback.manifest import File
from fallback.partial import Partial

if TYPE_CHECKING:
    from pathlib import Path

ONE = Response(0, "ipfs", "dweb.link", '"a"', "cdn.example")
TWO = Response(10, "ipfs", "ipfs.io")
THREE = Response(20, "ipfs", "dweb.link", '"b"')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger"


def written(path: Path, *responses: Response, pure: bool = False) -> Ledger:
    ledger = Ledger(path)
    ledger.begin(pure=pure)
    ledger.keep()
    for response in responses:
        ledger.add(response)
    return ledger


@pytest.mark.parametrize("pure", [False, True])
def test_what_was_written_is_read(path: Path, pure: bool) -> None:  # noqa: FBT001 - a case
    written(path, ONE, TWO, pure=pure)
    again = Ledger.read(path)
    assert (again.responses, again.pure) == ((ONE, TWO), pure)


def test_nothing_is_written_down_before_it_is_worth_it(path: Path) -> None:
    """And then all of it is, and whatever comes after."""
    ledger = Ledger(path)
    ledger.begin(pure=True)
    ledger.add(ONE)
    assert not path.exists()
    ledger.keep()
    ledger.add(TWO)
    ledger.keep()
    again = Ledger.read(path)
    assert (again.responses, again.pure) == ((ONE, TWO), True)


@pytest.mark.parametrize(("size", "before", "after"), [(1 << 20, False, True), ((1 << 20) + 1, True, True)])
def test_a_partial_s_ledger_is_written_with_its_second_mib_or_when_it_is_let_go(
    tmp_path: Path, *, size: int, before: bool, after: bool
) -> None:
    """A smaller file is here sooner than its ledger; one that another run may go on with has one."""
    partial = Partial.fresh(tmp_path / "a", File("a", 1 << 22, "ab" * 32))
    partial.begin(ONE)
    partial.write(bytes(size))
    assert partial.ledger.path.exists() == before
    partial.close()
    assert partial.ledger.path.exists() == after
    assert Ledger.read(partial.ledger.path).responses == (ONE,)


def test_begin_forgets(path: Path) -> None:
    written(path, ONE, TWO).begin()
    assert Ledger.read(path).responses == ()


def test_the_last_entity_tag_of_a_source_counts(path: Path) -> None:
    ledger = written(path, ONE, TWO, THREE)
    assert [ledger.etag(name)[0] for name in ("dweb.link", "ipfs.io", "else")] == ['"b"', None, None]
    assert written(path, ONE).etag("dweb.link") == ('"a"', "cdn.example")


@pytest.mark.parametrize(
    ("responses", "only"),
    [((), None), ((ONE,), "dweb.link"), ((ONE, THREE), "dweb.link"), ((ONE, TWO), None)],
)
def test_the_only_one_who_wrote(path: Path, responses: tuple[Response, ...], only: str | None) -> None:
    assert written(path, *responses).only() == only


BAD = [
    {"start": -1},
    {"start": "0"},
    {"layer": "elsewhere"},
    {"layer": ["ipfs"]},
    {"source": 7},
    {"host": 7},
    {"etag": "weak"},
    {"etag": 'W/"a"'},
    {"etag": '"a"\r\nX: y"'},
    {"more": 1},
]


@pytest.mark.parametrize("change", BAD)
def test_what_stands_before_a_bad_line_is_kept(path: Path, change: dict[str, object]) -> None:
    """An entity tag goes into a header: one that could break it is no tag."""
    written(path, ONE)
    with path.open("a") as stream:
        stream.write(json.dumps(asdict(TWO) | change) + "\n")
    assert Ledger.read(path).responses == (ONE,)


def test_a_torn_line_costs_itself(path: Path) -> None:
    written(path, ONE, TWO)
    path.write_bytes(path.read_bytes()[:-9])
    assert Ledger.read(path).responses == (ONE,)


def test_no_file_no_ledger(path: Path) -> None:
    assert Ledger.read(path).responses == ()


@given(
    st.binary()
    | st.lists(st.sampled_from([b"[" * 100_000, b"{}", b"null", b'{"pure": true}', b"7"])).map(b"\n".join)
)
def test_any_bytes_are_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.ledger"
    path.write_bytes(data)
    ledger = Ledger.read(path)
    assert ledger.responses == ()
    assert ledger.pure in {True, False}


def test_no_more_than_a_mib_is_read(path: Path) -> None:
    written(path, ONE)
    with path.open("a") as stream:
        stream.write(" " * MAX_BYTES + "\n" + json.dumps(asdict(TWO)) + "\n")
    assert Ledger.read(path).responses == (ONE,)


def test_a_ledger_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """What it says is known in this run all the same."""
    ledger = written(tmp_path / "no" / "folder", ONE)
    assert ledger.etag("dweb.link")[0] == '"a"'
    ledger.remove()
    assert Ledger.read(ledger.path).responses == ()


def test_who_wrote_a_chunk_is_known_or_nobody(path: Path) -> None:
    """A chunk that two wrote is nobody's; one that was written over is its last writer's, and no other's end moves."""
    ledger = written(path, Response(0, "ipfs", "a"), Response(25, "ipfs", "b"))
    assert [ledger.writer(at, at + 10) for at in (0, 10, 20, 30)] == ["a", "a", None, "b"]
    ledger.add(Response(10, "ipfs", "c", stop=20))
    ledger.add(Response(10, "huggingface", "d", stop=20))
    assert [ledger.writer(at, at + 10) for at in (0, 10, 20, 30)] == ["a", "d", None, "b"]
    assert [ledger.writer(*part) for part in ((12, 18), (5, 15), (15, 25))] == [None, None, None]
