"""Each mutant of the engine fails the cases that are said to kill it, and is no wreck: it passes another one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.case import all_cases
from tests.conformance.mutants import mutant as program
from tests.conformance.mutants.mutant import NOT_APPLIED, mutants
from tests.conformance.play import play
from tests.conformance.stage import Stage
from tests.conformance.system import UnavailableError

CONTROL = "R-CACHE-9"
"""What a mutant passes that has nothing to do with this: a file is here, another is got."""


def parameters() -> list[object]:
    """Each mutant; those that are not quick are for the night."""
    return [
        pytest.param(
            mutant,
            id=mutant["name"],
            marks=[pytest.mark.timeout(400), *([] if mutant.get("quick") else [pytest.mark.nightly])],
        )
        for mutant in mutants().values()
    ]


@pytest.mark.bites
@pytest.mark.parametrize("mutant", parameters())
def test_mutant_is_killed(mutant: dict[str, Any]) -> None:
    """Each of its cases finds something wrong, its control nothing."""
    found = {case: problems(mutant, case) for case in mutant["killed_by"]}
    wrong, _ = problems(mutant, control := mutant.get("passes", CONTROL))
    survived = [case for case, (seen, unavailable) in found.items() if not seen and not unavailable]
    assert not survived, f"{mutant['name']} survives {', '.join(survived)}: {mutant['wrong']}"
    assert not wrong, f"{mutant['name']} is a wreck: it fails {control}, too: {wrong}"
    reasons = [unavailable for _, unavailable in found.values() if unavailable]
    if len(reasons) == len(found):
        pytest.skip("; ".join(reasons))


def problems(mutant: dict[str, Any], case: str) -> tuple[list[str], str | None]:
    """What the case finds wrong with the mutant; and why it could not be played, if so."""
    command = (sys.executable, program.__file__, mutant["name"])
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as folder:
        stage = Stage(all_cases()[case], command, Path(folder))
        try:
            with stage:
                play(stage)
        except UnavailableError as error:
            return [], str(error)
    said = [run.said["stderr"] for run in stage.runs if run.code == NOT_APPLIED]
    assert not said, said[0]
    return stage.problems, None


def test_every_patch_can_be_applied() -> None:
    """A name or a text that is gone from the engine is noticed here, and not by a mutant that does nothing."""
    check = subprocess.run(
        [sys.executable, program.__file__, "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, (
        f"the engine was changed; these patches in {program.HERE} must follow:\n{check.stdout}"
    )


def test_enough_mutants_and_known_cases() -> None:
    """The table is whole: no case is named that does not exist."""
    assert len(mutants()) >= 25
    named = {
        case
        for mutant in mutants().values()
        for case in [*mutant["killed_by"], mutant.get("passes", CONTROL)]
    }
    assert not named - set(all_cases())
