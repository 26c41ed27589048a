"""The fault catalogue is whole: every row of servers and networks has a fault, a raw-socket test and a flow test.

A test says which rows it shows by `@pytest.mark.fault(number, …)`; the marks are read from the source, so that what is
counted does not depend on which tests are run. A raw test counts for a fault only if it names that fault's class. The
trials of `tests/flow/trial.py` are a flow test of every fault a row is played by, save where one fault at one source is
not what the row is about (`MORE_THAN_A_TRIAL`).
"""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.faults import FAULTS
from fakes.faults.rows import rows
from tests.flow.trial import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fakes.faults.rows import Row

TESTS = Path(__file__).parents[2]
RAW = tuple(sorted((TESTS / "unit/fakes").glob("test_*.py")))
CRASH = tuple(sorted((TESTS / "crash").glob("test_*.py")))
FLOW = (*sorted((TESTS / "flow").glob("test_*.py")), TESTS / "unit/fallback/test_transport.py")

PLAYED_BY_TESTS = {113}
"""Rows of the engine's own server: no fake attacks it, but its flow test does."""

MORE_THAN_A_TRIAL = {14, 15, 54, 66, 68, 88, 107, 108, 110}
"""Rows of a protocol, an nth request, many sources, many clients, or what is remembered: they need a test of their own."""


def is_mark(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"


def numbers(node: ast.FunctionDef | ast.ClassDef) -> set[int]:
    return {
        ast.literal_eval(argument)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and is_mark(mark)
        for argument in mark.args
    }


def names(node: ast.AST, shared: dict[str, ast.expr]) -> set[str]:
    """Every name in it, and in the lists at the module's top that it uses."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    found |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    for name in found & set(shared):
        found |= names(shared[name], {})
    return found


def marked(paths: Iterable[Path]) -> Iterator[tuple[int, set[str]]]:
    """(number, names in the test) of every test marked with it, by itself or by its class."""
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        shared = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                for number in numbers(node):
                    yield number, names(node, shared)


@functools.cache
def shown(paths: tuple[Path, ...]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for number, used in marked(paths):
        found[number] |= used
    return dict(found)


def missing(row: Row) -> list[str]:
    """What the row lacks."""
    raw, flow = shown(RAW), shown(FLOW)
    if row.number in PLAYED_BY_TESTS:
        return [] if row.number in flow else ["a flow test"]
    lacks = [] if row.plays or row.healthy else ["a fault"]
    lacks += [] if row.number in raw else ["a raw test"]
    lacks += [
        f"a raw test that names {type(fault).__name__}"
        for fault in row.plays
        if type(fault).__name__ not in raw.get(row.number, set())
    ]
    tried = row.number in {case.number for case in CASES.values()} - MORE_THAN_A_TRIAL
    return lacks if tried or row.number in flow else [*lacks, "a flow test"]


OF_SERVERS = {f"{row.number}-{row.name}": row for row in rows().values() if not row.is_local}


@pytest.mark.parametrize("row", OF_SERVERS.values(), ids=OF_SERVERS)
def test_every_row_has_a_fault_a_raw_test_and_a_flow_test(row: Row) -> None:
    assert not missing(row)


def test_the_catalogue_is_whole() -> None:
    """113 rows, one number and one name each."""
    assert list(rows()) == list(range(1, 114))
    assert len({row.name for row in rows().values()}) == 113
    assert all(set(row.inject) <= {"S", "R", "P", "L"} and row.does and row.must for row in rows().values())


def test_a_local_row_is_played_by_nobody() -> None:
    assert {row.played_by for row in rows().values() if row.is_local} == {"local"}


def test_rows_and_faults_say_the_same_of_each_other() -> None:
    """A fault's numbers are the rows that it plays: a new fault belongs into rows.toml, in each of its rows."""
    by_row = {(row.number, fault.name) for row in rows().values() for fault in row.plays}
    by_fault = {(number, fault.name) for fault in FAULTS.values() for number in fault.numbers}
    assert by_row == by_fault


def test_every_row_of_this_machine_s_disk_is_shown() -> None:
    """Rows 89 to 100, which no server plays."""
    disk = {row.number for row in rows().values() if row.is_local and 89 <= row.number <= 100}
    assert disk == set(range(89, 101))
    assert disk <= set(shown(CRASH + FLOW))


def test_marks_are_of_rows_that_exist() -> None:
    assert set(shown(RAW + FLOW + CRASH)) <= set(rows())
