"""Observers are told one event at a time, and none can hurt another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.events import RunStarted, Warned
from fallback.teller import Teller

if TYPE_CHECKING:
    from fallback.events import Event

ONE, TWO = RunStarted(1, 10), RunStarted(2, 20)


def test_one_that_joins_hears_what_it_missed_first() -> None:
    first: list[Event] = []
    second: list[Event] = []
    tell = Teller([first.append])
    tell(ONE)
    tell.add(second.append, [ONE])
    tell(TWO)
    assert first == second == [ONE, TWO]


def test_one_that_fails_is_told_nothing_more_and_the_rest_is_told_that() -> None:
    """P11."""
    told: list[Event] = []
    calls: list[Event] = []

    def failing(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("no")

    tell = Teller([failing, told.append])
    tell(ONE)
    tell(TWO)
    assert calls == [ONE]
    assert [type(event) for event in told] == [Warned, RunStarted, RunStarted]


def test_one_that_fails_at_what_it_missed_is_not_told_the_rest() -> None:
    calls: list[Event] = []

    def failing(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("no")

    Teller().add(failing, [ONE, TWO])
    assert calls == [ONE]
