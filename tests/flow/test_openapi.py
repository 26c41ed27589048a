"""The API is what its OpenAPI document says: schemathesis asks whatever that allows, and what it does not.

Its CLI, so that what a person would run is what runs here: every check it has, all its phases (boundary values, what is
against the schema, generated requests, sequences of them). `st run URL/openapi.json --checks all` does the same by hand.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from tests.flow.conftest import MODELS
from tests.flow.serving import Server
from tests.programs import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "canary-4f1d0b6e2a7c"
EXAMPLES = "20"
"""Generated requests of an operation: the quick profile."""


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="small") as world:
        yield world


def schemathesis(server: Server, folder: Path, *options: str) -> str:
    """What it says in the end; a failure is a failure."""
    command = [path_of("st"), "run", f"{server.url}openapi.json", "--checks", "all", "--continue-on-failure"]
    command += [
        "--max-examples",
        EXAMPLES,
        "--seed",
        "1",
        "--generation-database",
        "none",
        "--no-color",
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.contract
@pytest.mark.timeout(300)
@pytest.mark.needs("st")
@pytest.mark.parametrize("token", [None, TOKEN], ids=["open", "token"])
def test_every_operation_does_what_the_document_says(world: World, tmp_path: Path, token: str | None) -> None:
    """With a token schemathesis also asks without one, and with a wrong one."""
    environment = {"FALLBACK_SHARE": "true"} | ({"FALLBACK_SERVE_TOKEN": token} if token else {})
    with Server(world, tmp_path / "server", environment=environment) as server:
        bearer = ("--header", f"Authorization: Bearer {token}") if token else ()
        said = schemathesis(server, tmp_path, *bearer)
        code, complained = server.end()
    summary = said.split("= SUMMARY =")[1]
    operations = re.search(r"Tested: (\d+)", summary)
    cases = re.search(r"(\d+) generated, (\d+) passed", summary)
    assert operations is not None, summary
    assert cases is not None, summary
    print(
        f"\nschemathesis: {operations[1]} operations, {cases[1]} cases, {int(cases[1]) - int(cases[2])} failures"
    )
    assert int(operations[1]) >= 17
    assert (code, complained) == (0, ""), "no mistake of ours was on the way"
