"""Where the outside programs are that tests run: beside our own Python, in the repository, or on PATH."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find(program: str) -> str | None:
    """The program's path, None where it is absent.

    A name with a slash is in one of the repository's own folders; `module:x` is the module x of our own Python.
    """
    if program.startswith("module:"):
        spec = importlib.util.find_spec(program.removeprefix("module:"))
        return spec.origin if spec else None
    if "/" in program:
        return shutil.which(ROOT / program)
    return shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)


def path_of(program: str) -> str:
    """The path of a program that is there: of one that the test is marked to need."""
    path = find(program)
    assert path is not None, f"{program} is absent; mark the test with needs({program!r})"
    return path
