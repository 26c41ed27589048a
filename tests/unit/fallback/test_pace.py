"""When one connection is what a file waits for, and how many are worth having: by simulated time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.pace import FAST_BYTES_S, LOOK_S, TRIAL_S, WORTH_S, Pace

MB = 1_000_000
LEAST = 32 << 20
TICK_S = 0.05


def slow_after(pace: Pace, rate: float, size: int, seconds: float = 5.0) -> float | None:
    """When one connection of this rate is found to be slow; None: not in so many seconds, or before the file is here."""
    now, arrived = 0.0, 0
    while now < seconds and arrived < size:
        if pace.is_slow(now, arrived, arrived, size - arrived):
            return now
        now += TICK_S
        arrived = int(rate * now)
    return None


def test_a_steady_slow_connection_is_known_at_once() -> None:
    pace = Pace(LEAST)
    after = slow_after(pace, 8 * MB, 100 * MB)
    assert after is not None
    assert LOOK_S <= after <= LOOK_S + 2 * TICK_S
    assert pace.rate == pytest.approx(8 * MB, rel=0.01)


@given(st.floats(1.01 * FAST_BYTES_S, 1e10), st.integers(1, 10**12))
def test_a_fast_connection_is_never_slow(rate: float, size: int) -> None:
    """Loopback, a LAN: whatever the size, nobody else is asked."""
    assert slow_after(Pace(LEAST), rate, size) is None


@given(st.floats(1, 1e10), st.integers(1, LEAST))
def test_a_small_file_is_never_shared(rate: float, size: int) -> None:
    assert slow_after(Pace(LEAST), rate, size) is None


@given(st.floats(1, 1e9), st.integers(1, 10**12))
def test_what_is_nearly_here_is_not_shared(rate: float, size: int) -> None:
    """Neither bytes nor seconds: what is left is worth it, whenever others are asked."""
    pace = Pace(1)
    after = slow_after(pace, rate, size)
    if after is not None:
        assert size - rate * after >= 0.98 * WORTH_S * rate


def test_one_that_gets_faster_all_the_time_is_given_time() -> None:
    """The beginning of a long path: each look finds twice the rate."""
    pace = Pace(LEAST)
    arrived, now = 0, 0.0
    for step in range(12):
        assert not pace.is_slow(now, arrived, arrived, 10**12)
        now += TICK_S
        arrived += 10_000 * 2**step


def test_what_lay_ready_says_nothing() -> None:
    """A burst before the first look is not counted into the rate."""
    pace = Pace(LEAST)
    for step in range(8):
        arrived = 5 * MB + int(MB * TICK_S * step)
        slow = pace.is_slow(step * TICK_S, arrived, arrived, 100 * MB)
    assert slow
    assert pace.rate == pytest.approx(MB, rel=0.01)


def test_one_may_be_slow_whatever_other_files_bring() -> None:
    """Each connection may have a limit of its own: whether they share one line is for the trial to say."""
    pace = Pace(LEAST)
    for step in range(8):
        arrived = int(4 * MB * TICK_S * step)
        slow = pace.is_slow(step * TICK_S, arrived, 5 * arrived, 10**12)
    assert slow
    assert pace.rate == pytest.approx(4 * MB, rel=0.01)


def tried(alone: float, together: float, others: float = 0.0, connections: int = 4) -> int | None:
    """How many are worth it, where one brought `alone` and so many bring `together`, and other files `others`."""
    pace = Pace(LEAST)
    now, file, run = 0.0, 0.0, 0.0
    while not pace.is_slow(now, int(file), int(run), 10**12):
        now, file, run = now + TICK_S, file + alone * TICK_S, run + (alone + others) * TICK_S
    pace.begin(now, int(run), now - 0.1)
    assert pace.worth(now + TRIAL_S / 2, int(run), connections) is None
    seconds = 1.01 * TRIAL_S
    return pace.worth(now + seconds, int(run + (together + others) * seconds), connections)


@pytest.mark.parametrize(
    ("alone", "together", "kept"),
    [(8, 32, 4), (8, 24, 4), (8, 16, 3), (8, 11, 2), (8, 9, 1), (8, 8, 1), (8, 2, 1), (1, 40, 4)],
)
def test_so_many_are_kept_as_bring_something(alone: int, together: int, kept: int) -> None:
    assert tried(alone * MB, together * MB) == kept


def test_a_line_that_is_full_is_no_reason_for_connections() -> None:
    """The file gets more of it, and the others less: the run gets what it had."""
    assert tried(2 * MB, 8 * MB, others=6 * MB) == 4
    assert tried(2 * MB, 2 * MB, others=6 * MB) == 1


def test_those_that_took_long_to_begin_are_measured_longer() -> None:
    pace = Pace(LEAST, rate=1.0)
    pace.begin(10.0, 0, 7.0)
    assert pace.worth(12.9, MB, 4) is None
    assert pace.worth(13.0, MB, 4) is not None
