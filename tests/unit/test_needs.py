"""A test that needs a program is skipped without it, and fails in CI, so that no proof goes missing unseen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_runtest_setup
from tests.programs import find, path_of


def item(*programs: str) -> Any:
    return SimpleNamespace(iter_markers=lambda _name: [pytest.mark.needs(name).mark for name in programs])


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_an_absent_program(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[Exception]) -> None:
    monkeypatch.setenv("CI", ci)
    pytest_runtest_setup(item("python", "module:pytest"))
    with pytest.raises(outcome, match=r"needs no-such-program, module:no_such, \.nowhere/bin/x"):
        pytest_runtest_setup(item("python", "no-such-program", "module:no_such", ".nowhere/bin/x"))


def test_where_programs_are_looked_for() -> None:
    assert find("python") is not None
    assert path_of("sh").endswith("/sh")
    with pytest.raises(AssertionError, match="no-such-program is absent"):
        path_of("no-such-program")
