"""The marker `needs(program)`: skip where the program is absent, but fail in CI, which has to install it."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.programs import find

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for every program that the test is marked to need."""
    needed = [program for marker in item.iter_markers("needs") for program in marker.args]
    absent = [program for program in needed if find(program) is None]
    if not absent:
        return
    said = f"needs {', '.join(absent)}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{said}, which .ci/run has to install", pytrace=False)
    pytest.skip(said)
