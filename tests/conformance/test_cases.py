"""Every case, put to the client."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .case import all_cases
from .conftest import KEY, command_of
from .dump import keep
from .outcome import Told
from .play import play
from .stage import Stage, UnsupportedError
from .system import UnavailableError

if TYPE_CHECKING:
    from .case import Case


def _parameters() -> list[object]:
    return [
        pytest.param(
            case,
            id=case.id,
            marks=[pytest.mark.timeout(case.seconds), *([pytest.mark.smoke] if case.smoke else [])],
        )
        for case in all_cases().values()
    ]


@pytest.mark.parametrize("case", _parameters())
def test_case(case: Case, request: pytest.FixtureRequest) -> None:
    """The client does as the case requires, and as every run must."""
    told = Told(case)
    request.node.user_properties.append((KEY, told.document))
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as folder:
        stage = Stage(case, command_of(request.config), Path(folder))
        try:
            with stage:
                play(stage)
        except UnsupportedError:
            told.unsupported()
        except UnavailableError as error:
            if request.config.getoption("--measure-all", None):
                raise
            told.unavailable(str(error))
        told.ended(stage)
        if stage.problems:
            keep(stage, request.config.getoption("--dump", None))
    told.judge()
