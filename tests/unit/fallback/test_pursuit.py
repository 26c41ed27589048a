"""Whom a plan names to help with a part of a file: nobody who is no help, or was asked often enough."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fallback.chance import Try
from fallback.health import Health
from fallback.outcome import Interrupted, Malformed, Outrun, Throttled
from fallback.plan import Plan, Policy
from fallback.pursuit import Course

if TYPE_CHECKING:
    from fallback.outcome import Outcome
    from fallback.sources import Named

LEAD = Try("a", 1)


def course(**health: Health) -> Course[Named]:
    """Of the sources a, b, c and d, at the second 0."""
    clock = SimpleNamespace(now=lambda: 0.0)
    run = cast("Any", SimpleNamespace(clock=clock, health=health, attempts_of=lambda _source: 2))
    sources = {name: cast("Any", SimpleNamespace(name=name)) for name in "abcd"}
    plan = Plan.of(dict.fromkeys("abcd", 2), Policy(1.0, 60.0, jitter=lambda: 0.0))
    return Course(run, sources, plan, None)


def helper(of: Course[Named], *useless: str, beside: tuple[Try, ...] = (LEAD,)) -> str | None:
    found = of.helper(beside, useless)
    assert found is None or found[0].name == found[1].source
    return None if found is None else found[0].name


def test_the_next_ones_of_the_plan_help() -> None:
    assert helper(course()) == "b"
    assert helper(course(), beside=(LEAD, Try("b", 1))) == "c"
    assert helper(course(), "b", "c") == "d"
    assert helper(course(), "b", "c", "d") is None


@pytest.mark.parametrize(
    "known",
    [
        Health(silent=True),
        Health(failures=2, failed=("x", "y")),
        Health(retired=True),
        Health(cooling_until=5.0, failures=1),
        Health(cooling_until=5.0),
        Health(blocks_only=True),
    ],
    ids=["silent", "failing", "retired", "cooling", "a guess", "blocks"],
)
def test_one_with_something_against_it_is_passed_over(known: Health) -> None:
    assert helper(course(b=known)) == "c"
    assert helper(course(b=known, c=known, d=known)) is None


def test_one_that_failed_less_often_than_it_has_attempts_helps() -> None:
    assert helper(course(b=Health(failures=1, failed=("x",)))) == "b"


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (Interrupted("cut", gained=2 << 20), True),
        (Outrun("late"), True),
        (Interrupted("cut"), False),
        (Throttled("429", 10.0), False),
        (Malformed("another tag"), False),
    ],
)
def test_one_that_failed_is_asked_again_as_the_plan_says(outcome: Outcome, *, again: bool) -> None:
    """A part is never asked for from zero."""
    of = course(c=Health(retired=True), d=Health(retired=True))
    of.came_to(Try("b", 1), outcome)
    assert helper(of) == ("b" if again else None)
