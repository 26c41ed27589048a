"""Outcomes are facts: each has a name of its own on the wire, and decides nothing."""

from __future__ import annotations

import inspect

import pytest

from fallback import outcome
from fallback.outcome import Failed, NotHere, Outcome

KINDS = [
    each
    for _, each in inspect.getmembers(outcome, inspect.isclass)
    if issubclass(each, Outcome) and each is not Outcome
]


def test_the_kinds_are_those_of_the_table() -> None:
    """DESIGN.md, Outcomes; those delivered are no failures, `spliced` is the one that blames nobody."""
    assert sorted(each("why").kind for each in KINDS) == [
        "blocks_only",
        "corrupt",
        "delivered",
        "interrupted",
        "malformed",
        "not_here",
        "outrun",
        "part_delivered",
        "refused",
        "retired",
        "spliced",
        "storage",
        "throttled",
        "unavailable",
        "unreachable",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_outcome_reads_as_its_reason(kind: type[Outcome]) -> None:
    assert str(kind("why")) == "why"


def test_failed_carries_one() -> None:
    failed = Failed(NotHere("404"))
    assert (failed.outcome, str(failed)) == (NotHere("404"), "404")


def test_a_reason_is_one_short_line_that_no_terminal_obeys() -> None:
    """Part of it may be a server's choice: the name of a host that it redirects to."""
    reason = Outcome("host \x1b[2J\r\nname\u202e" + "x" * 10_000).reason
    assert reason.startswith("host ?[2J??name?x")
    assert len(reason) == 500
