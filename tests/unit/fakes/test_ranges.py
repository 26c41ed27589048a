from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer import Request
from fakes.content import make_blob
from fakes.ranges import MalformedRangeError, UnsatisfiableRangeError, file_answer, parse_range
from fakes.steps import Data

if TYPE_CHECKING:
    from fakes.answer import Answer
    from fakes.content import Blob

SIZE = 100
ETAG = '"tag"'


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=10-", (10, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-100", (0, 100)),
        ("bytes=-500", (0, 100)),
        ("Bytes=5-6", (5, 7)),
        ("bytes=0-1, 5-6", (0, 2)),
    ],
)
def test_ranges_that_can_be_had(header: str, part: tuple[int, int]) -> None:
    assert parse_range(header, SIZE) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=500-600", "bytes=-0"])
def test_ranges_outside_the_file(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, SIZE)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=9-3",
        "bytes=a-b",
        "bytes = 5-6",
        "items=0-1",
        "0-1",
        f"bytes={'9' * 5000}-",
    ],
)
def test_what_is_no_range(header: str) -> None:
    with pytest.raises(MalformedRangeError):
        parse_range(header, SIZE)


@pytest.fixture
def blob() -> Blob:
    return make_blob("ranges", SIZE)


def ask(blob: Blob, method: str = "GET", **headers: str) -> Answer:
    request = Request("gateway1", method, "/").with_headers(**headers)
    return file_answer(request, blob, ETAG, {"X": "y"}, malformed="refuse")


def body(answer: Answer) -> bytes:
    return b"".join(bytes(step) for step in answer.body if isinstance(step, Data))


def test_a_part_says_where_it_is(blob: Blob) -> None:
    answer = ask(blob, range="bytes=10-19")
    assert (answer.status, answer.first, answer.total, answer.length) == (206, 10, SIZE, 10)
    assert answer.header("content-range") == "bytes 10-19/100"
    assert answer.header("content-length") == "10"
    assert body(answer) == bytes(blob.view(10, 20))


def test_the_whole_says_that_parts_can_be_had(blob: Blob) -> None:
    answer = ask(blob)
    assert (answer.status, answer.header("accept-ranges"), answer.header("x")) == (200, "bytes", "y")
    assert body(answer) == bytes(blob.view())


def test_unsatisfiable_and_malformed(blob: Blob) -> None:
    answer = ask(blob, range="bytes=100-")
    assert (answer.status, answer.header("content-range")) == (416, "bytes */100")
    assert ask(blob, range="bytes=9-3").status == 400
    request = Request("cdn", "GET", "/").with_headers(range="bytes=9-3")
    assert file_answer(request, blob, ETAG, {}).status == 200


def test_a_range_on_an_empty_file_gets_all_of_it() -> None:
    assert ask(make_blob("nothing", 0), range="bytes=0-").status == 200


def test_head_knows_no_range(blob: Blob) -> None:
    """RFC 9110 section 14.2: Range is for GET."""
    answer = ask(blob, "HEAD", range="bytes=10-19")
    assert (answer.status, answer.header("content-length")) == (200, "100")


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Mon, 21 Sep 2026 00:00:00 GMT", 200)],
)
def test_if_range_takes_nothing_but_the_same_strong_tag(blob: Blob, if_range: str, status: int) -> None:
    assert ask(blob, range="bytes=10-19", if_range=if_range).status == status


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [(ETAG, 304), (f"W/{ETAG}", 304), (f'"a", "b", {ETAG}', 304), ("*", 304), ('"a"', 200)],
)
def test_if_none_match(blob: Blob, if_none_match: str, status: int) -> None:
    answer = ask(blob, if_none_match=if_none_match)
    assert (answer.status, answer.header("etag")) == (status, ETAG)
    assert bool(body(answer)) == (status == 200)
