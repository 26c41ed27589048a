"""Every way to play a fault: nothing wrong on disk, nothing hangs, and one good source is enough (P1, P4, P5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flow.trial import CASES, SIZE, TIMEOUT_S, trial

if TYPE_CHECKING:
    from tests.flow.trial import Row

HARMLESS_ALONE = {
    "8-stale-keepalive", "26-416-smaller", "29-1xx-3", "30-no-length", "30-no-length-2", "30-no-length-3",
    "34-length-and-chunks", "38-disposition", "39-bad-header-4", "39-bad-header-5", "39-bad-header-6",
    "40-wrong-digest", "45-empty-2", "46-cut-5", "51-trailing-garbage", "51-trailing-garbage-2", "52-endless",
    "52-endless-2", "53-corrupt-on-resume", "57-bandwidth-2", "58-bursts", "59-slow-close", "60-latency", "60-latency-2", "70-range-ignored", "70-range-ignored-2",
    "70-range-ignored-3", "71-wrong-start", "71-wrong-start-2", "73-other-total", "74-star-total", "75-multipart",
    "77-if-range-ignored", "78-weak-etag", "79-no-etag", "80-sources-disagree-2", "85-http-1.0", "85-http-1.0-2",
    "86-header-style", "86-header-style-2", "86-header-style-3", "87-smuggled",
}  # fmt: skip
"""With these a source alone is enough: it has the file, and gives it if it is asked well."""

BOUND_S = 8 * TIMEOUT_S + 2
"""Two attempts for the connection and two for the body at most, their pauses, and a busy machine."""


MOST_REQUESTS = 6
"""Two attempts, what a cut or an expired URL refunds, and an entry for each connection that the network spoiled."""

REDIRECTED = 2 * 11
"""The same for faults of redirects: two attempts of a request and the ten redirects that it may follow."""

SLACK = 8 << 20
"""What two kernels may hold of a body that nobody reads."""


def in_bounds(row: Row) -> bool:
    """Whether it ended in time, with no more requests than attempts allow, and reading no body beyond its size (P3)."""
    most = REDIRECTED if row.case.startswith(("39", "63", "64", "65")) else MOST_REQUESTS
    return row.seconds < BOUND_S and row.requests <= most and row.bytes <= 2 * SIZE + SLACK


@pytest.mark.parametrize("case", CASES)
def test_a_good_second_source_is_enough(case: str) -> None:
    """P5: whatever the first does; and it costs no more than that source's attempts."""
    row = trial(CASES[case], second_source=True)
    assert (row.exit, row.disk) == (0, "right"), row
    assert in_bounds(row), row


@pytest.mark.parametrize("case", CASES)
def test_alone_it_is_the_right_file_or_a_clean_failure(case: str) -> None:
    """P1: never wrong bytes under the final name; what the source can serve is served."""
    row = trial(CASES[case], second_source=False)
    assert (row.exit, row.disk) == ((0, "right") if case in HARMLESS_ALONE else (1, "absent")), row
    assert in_bounds(row), row


def test_the_harmless_ones_are_cases() -> None:
    assert set(CASES) >= HARMLESS_ALONE


def test_an_endless_body_is_not_read_to_see_whether_it_ends() -> None:
    """P3: size and one buffer, and what the two kernels hold between them."""
    assert trial(CASES["52-endless"], second_source=False).bytes < SIZE + (16 << 20)
