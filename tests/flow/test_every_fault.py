"""Every fault the fakes can play: nothing wrong on disk, nothing hangs, and one good source is enough (P1, P4, P5)."""

from __future__ import annotations

import pytest

from fakes.faults import FAULTS
from tests.flow.trial import SIZE, TIMEOUT_S, trial

HARMLESS_ALONE = {
    "connection-close", "cut-every", "early-hints", "endless", "etag", "header-style", "if-range-ignored",
    "length-and-chunks", "multipart-range", "no-length", "other-total", "range-ignored", "range-refused",
    "smuggled", "stale-keepalive", "star-total", "trailing-garbage", "wrong-start",
    "corrupt-on-resume",
}  # fmt: skip
"""With these a source alone is enough: it has the file, and gives it if it is asked well."""

BOUND_S = 8 * TIMEOUT_S + 2
"""Two attempts for the connection and two for the body at most, their pauses, and a busy machine."""


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_good_second_source_is_enough(name: str) -> None:
    """P5: whatever the first does; and it costs no more than that source's attempts."""
    row = trial(name, second_source=True)
    assert (row.exit, row.disk) == (0, "right"), row
    assert row.seconds < BOUND_S


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_alone_it_is_the_right_file_or_a_clean_failure(name: str) -> None:
    """P1: never wrong bytes under the final name; what the source can serve is served."""
    row = trial(name, second_source=False)
    assert (row.exit, row.disk) == ((0, "right") if name in HARMLESS_ALONE else (1, "absent")), row
    assert row.seconds < BOUND_S


def test_an_endless_body_is_not_read_to_see_whether_it_ends() -> None:
    """P3: size and one buffer, and what the two kernels hold between them."""
    assert trial("endless", second_source=False).bytes < SIZE + (16 << 20)
