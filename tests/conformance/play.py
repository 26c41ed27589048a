"""One case on its stage, from its beginning to its end: what was wrong is among the stage's problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import checks, checks_disk, scripts, verdict

if TYPE_CHECKING:
    from .stage import Stage


def play(stage: Stage) -> None:
    """The case's script, or its one run and what it expects of it."""
    case = stage.case
    if case.script is not None:
        scripts.ALL[case.script](stage)
        return
    run = stage.run()
    stage.problems += verdict.of_case(run, case)
    for name in case.expect.checks:
        stage.problems += (checks.ALL | checks_disk.ALL)[name](run)
