"""The README says what is true now: a setting, command, event or outcome it misses fails the build."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from fakes.faults.rows import rows
from fallback import events, outcome
from fallback.cli.main import COMMANDS
from fallback.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(first: str) -> dict[str, list[str]]:
    """The rows of the table whose heading begins with `first`, by their first cell."""
    rows = README.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if row.startswith("|")]
    return {row[0].strip("` "): row[1:] for row in cells}


def test_settings_table_is_the_settings() -> None:
    fields = [field for field in dataclasses.fields(Settings) if field.name != "origins"]
    rows = table("setting")
    assert list(rows) == [field.name for field in fields]
    for field in fields:
        assert rows[field.name][1:] == [field.metadata["unit"], field.metadata["help"]]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_listed(name: str) -> None:
    assert f"`fallback {name}" in README


def test_every_event_is_listed() -> None:
    base = {events.Event, events.FileEvent, events.AttemptEvent}
    known = {
        name
        for name, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, events.Event) and kind not in base
    }
    assert set(re.findall(r"`([A-Z]\w+)`", README.split("## Events")[1].split("## Metrics")[0])) == known


def test_every_outcome_is_listed() -> None:
    known = {
        name
        for name, kind in inspect.getmembers(outcome, inspect.isclass)
        if issubclass(kind, outcome.Outcome)
    }
    assert set(table("outcome")) == known - {"Outcome", "Delivered"}


def test_every_fault_that_can_be_played_is_listed_and_none_came_out_wrong() -> None:
    """The figures are those of the last `make faults-table`; that a row is missing needs no run to see."""
    known = {str(row.number): row for row in rows().values() if row.plays}
    listed = table("#")
    assert {number: cells[:2] for number, cells in listed.items()} == {
        number: [row.name, row.does] for number, row in known.items()
    }
    assert not [number for number, cells in listed.items() if "WRONG" in " ".join(cells)]
    assert {cells[3].split(",")[0] for cells in listed.values()} == {"right file"}


@pytest.mark.parametrize("code", ["0", "1", "2", "3"])
def test_every_exit_code_is_listed(code: str) -> None:
    assert code in table("exit code")


def test_every_test_that_the_threat_model_names_is_there() -> None:
    """README, Security: a promise without its test is only a sentence."""
    named = [path for row in table("who").values() for path in re.findall(r"`([\w/]+(?:\.py|/))`", row[-1])]
    assert len(named) > 20
    assert not [path for path in named if not (ROOT / "tests" / path).exists()]
