"""Which part of a file a request gets, as RFC 9110 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.server.ranges import Part, asked

TAG = '"aa"'
WHOLE = Part(200, 0, 1000)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", Part(206, 0, 1000)),
        ("bytes=0-0", Part(206, 0, 1)),
        ("bytes=10-19", Part(206, 10, 20)),
        ("BYTES=10-19", Part(206, 10, 20)),
        ("bytes= 10-19 ", Part(206, 10, 20)),
        ("bytes=990-5000", Part(206, 990, 1000)),
        ("bytes=999-999", Part(206, 999, 1000)),
        ("bytes=-1", Part(206, 999, 1000)),
        ("bytes=-5000", Part(206, 0, 1000)),
        ("bytes=-0", Part(416, 0, 0)),
        ("bytes=1000-", Part(416, 0, 0)),
        ("bytes=5000-6000", Part(416, 0, 0)),
        ("bytes=9999999999999999999-", Part(416, 0, 0)),
        ("bytes=19-10", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1-2,4-5", WHOLE),
        ("bytes=99999999999999999999-", WHOLE),
        ("items=1-2", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),
    ],
)
def test_one_range_is_served_and_what_is_none_is_ignored(header: str, part: Part) -> None:
    assert asked("GET", {"range": header}, 1000, TAG) == part


def test_a_head_and_an_empty_file_have_no_parts() -> None:
    assert asked("HEAD", {"range": "bytes=1-2"}, 1000, TAG) == WHOLE
    assert asked("GET", {"range": "bytes=0-"}, 0, TAG) == Part(200, 0, 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-range": TAG}, 206),
        ({"if-range": f"W/{TAG}"}, 200),
        ({"if-range": '"bb"'}, 200),
        ({"if-range": "Sat, 28 Nov 2026 12:00:00 GMT"}, 200),
        ({"if-none-match": TAG}, 304),
        ({"if-none-match": f'"bb", W/{TAG}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"bb"'}, 206),
        ({"if-match": TAG}, 206),
        ({"if-match": "*"}, 206),
        ({"if-match": f"W/{TAG}"}, 412),
        ({"if-match": '"bb"', "if-none-match": TAG}, 412),
    ],
)
def test_conditions_come_before_the_range(headers: dict[str, str], status: int) -> None:
    assert asked("GET", {"range": "bytes=1-2", **headers}, 1000, TAG).status == status


@given(
    st.one_of(st.text(), st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True)),
    st.integers(0, 1 << 40),
)
def test_no_header_gets_more_than_there_is(header: str, size: int) -> None:
    part = asked("GET", {"range": header}, size, TAG)
    assert part.status in {200, 206, 416}
    assert 0 <= part.start <= part.stop <= size
    assert (part.start < part.stop) if part.status == 206 else True
    assert (part.start, part.stop) == (0, size) if part.status == 200 else True
