"""What is known of a source, as a fold over outcomes: the table's last column, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fallback.health import BAN_S, COOLING_CAP_S, Banned, Cooling, Health, Pause, Retired, Up, carried
from fallback.outcome import (
    Corrupt,
    Delivered,
    Interrupted,
    Malformed,
    NotHere,
    Refused,
    Spliced,
    Storage,
    Throttled,
    Unavailable,
    Unreachable,
)
from fallback.outcome import Retired as RetiredOutcome

if TYPE_CHECKING:
    from fallback.outcome import Outcome

PAUSE = Pause(backoff_s=2, max_wait_s=60, attempts=2)


def fold(*outcomes: Outcome, health: Health | None = None, every_s: float = 1.0) -> Health:
    """Attempts one after the other, each `every_s` long, from second 100."""
    now = 100.0
    health = health or Health()
    for outcome in outcomes:
        health = health.after(outcome, began=now, now=now + every_s, sha256="ab", pause=PAUSE)
        now += 2 * every_s
    return health


@pytest.mark.parametrize(
    "outcome",
    [
        NotHere("404"),
        Malformed("HTML"),
        Refused("401"),
        Storage("disk full"),
        Spliced("other bytes"),
        Interrupted("cut", gained=5),
        Interrupted("stalled", gained=5, stalled=True),
    ],
)
def test_outcomes_that_say_nothing_of_the_source(outcome: Outcome) -> None:
    assert fold(outcome, outcome, outcome) == Health()


def test_a_5xx_cools_after_as_many_as_it_has_attempts() -> None:
    once = fold(Unavailable("500"))
    assert (once.state(101), once.failures) == (Up(), 1)
    twice = fold(Unavailable("500"), Unavailable("500"))
    assert twice.state(103) == Cooling(103 + 4, 2, firm=False, reason="500")


@pytest.mark.parametrize(
    "outcome",
    [
        Unreachable("refused"),
        Unavailable("silent", timed_out=True),
        Interrupted("stalled", stalled=True),
        Throttled("429"),
    ],
)
def test_what_costs_time_cools_at_once(outcome: Outcome) -> None:
    assert isinstance(fold(outcome).state(101), Cooling)


def test_pauses_double_and_are_capped() -> None:
    health, pauses = Health(), []
    for number in range(14):
        now = 10_000.0 * number + 1
        health = health.after(Unreachable("refused"), began=now, now=now, sha256=None, pause=PAUSE)
        pauses.append(health.cooling_until - now)
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == COOLING_CAP_S


def test_workers_that_failed_together_are_one_failure() -> None:
    health = Health().after(Unreachable("refused"), began=100, now=101, sha256=None, pause=PAUSE)
    again = health.after(Unreachable("refused"), began=100.5, now=105, sha256=None, pause=PAUSE)
    assert (again.failures, again.cooling_until) == (1, health.cooling_until)


def test_retry_after_is_a_floor_that_nobody_shortens() -> None:
    health = fold(Throttled("429", retry_after_s=30))
    assert health.state(130) == Cooling(131, 1, firm=True, reason="429")
    shorter = health.after(Throttled("429", retry_after_s=1), began=101, now=102, sha256=None, pause=PAUSE)
    assert shorter.cooling_until == 131
    guessed = health.after(Unreachable("refused"), began=102, now=103, sha256=None, pause=PAUSE)
    assert (guessed.cooling_until, guessed.firm) == (131, True)


def test_retry_after_is_capped_and_spread() -> None:
    assert PAUSE.asked_for(3600) == 60
    assert 30 < Pause(2, 60, 2, jitter=0.9).asked_for(30) <= 31


def test_delivering_forgives_all_but_lies() -> None:
    health = fold(Corrupt("other bytes"), Unreachable("refused"), Delivered(""))
    assert health.state(200, "cd") == Up()
    assert isinstance(health.state(200, "ab"), Banned)


def test_a_ban_is_for_a_day_and_for_one_sha256() -> None:
    health = fold(Corrupt("other bytes"))
    assert health.state(101, "ab") == Banned(101 + BAN_S)
    assert health.state(101, "cd") == health.state(101) == health.state(101 + BAN_S, "ab") == Up()


def test_retired_is_for_good() -> None:
    assert fold(RetiredOutcome("gone"), Throttled("429"), Delivered("")).state(1e12) == Retired("gone")


def test_the_next_run_knows_but_does_not_hold_it_against_anybody() -> None:
    """A guess is carried as one; a firm pause, a ban and the streak stay."""
    health = carried(fold(Unreachable("refused"), Unreachable("refused"), Corrupt("other bytes")), now=105)
    assert (health.failures, health.streak, health.failed_at) == (0, 2, 0.0)
    assert health.state(105) == Cooling(107, 0, firm=False, reason="other bytes")
    assert isinstance(health.state(105, "ab"), Banned)


def test_moments_of_another_clock_are_dropped() -> None:
    """Fault 62: a record from the future would keep a source away for years."""
    ahead = Health(cooling_until=1e12, bans={"ab": 1e12, "cd": 150.0}, streak=3)
    health = carried(ahead, now=100)
    assert (health.state(100), health.state(100, "ab")) == (Up(), Up())
    assert isinstance(health.state(100, "cd"), Banned)
