#!/usr/bin/env python3
"""A client under test with one thing wrong: `mutant.py NAME fetch --job job.json`; NAME is of `mutants*.toml`.

The patches of the mutant are applied to this project's engine, then `clients/engine.py` runs as ever. A function's code is
exchanged in place, so that every module that has imported it has the new one; where a name or a text is gone, that is said
loudly: the exit code is 70 then, which no client under test has, for a mutant that is none kills no case. `mutant.py --check`
applies each mutant in a process of its own and names those that cannot be applied. Exclusions: no file is changed.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import importlib
import inspect
import os
import runpy
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType, FunctionType

HERE = Path(__file__).parent
NOT_APPLIED = 70


def mutants() -> dict[str, dict[str, Any]]:
    """Every mutant, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(HERE.glob("mutants*.toml")):
        for each in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
            if each["name"] in found:
                raise ValueError(f"{path.name}: {each['name']} is there twice")
            found[each["name"]] = each
    return found


def main() -> int:
    """Be one mutant, or check all."""
    sys.path.insert(0, str(HERE.parents[2]))  # so that it is the engine beside it, and no installed one
    if sys.argv[1:] == ["--check"]:
        return check()
    mutant = mutants()[sys.argv.pop(1)]
    try:
        apply(mutant["patch"])
    except (PatchError, SyntaxError) as error:
        sys.stderr.write(f"{mutant['name']}: {error}\n")
        return NOT_APPLIED
    runpy.run_path(str(HERE.parent / "clients" / "engine.py"), run_name="__main__")
    return 0


def check() -> int:
    """Apply each in a child of this process; the exit code is how many cannot be."""
    failed = 0
    for module in {
        patch["at"].partition(":")[0] for mutant in mutants().values() for patch in mutant["patch"]
    }:
        with contextlib.suppress(ImportError):  # said of the mutant that needs it
            importlib.import_module(module)  # once, and not in every child
    for mutant in mutants().values():
        child = os.fork()
        if child == 0:
            try:
                apply(mutant["patch"])
            except (PatchError, SyntaxError) as error:
                os.write(1, f"{mutant['name']}: {error}\n".encode())
                os._exit(NOT_APPLIED)
            os._exit(0)
        failed += os.waitpid(child, 0)[1] != 0
    return min(failed, NOT_APPLIED)


class PatchError(Exception):
    """What a patch speaks of is not there any more: the engine was changed, and the mutant must follow."""


def apply(patches: Iterable[Mapping[str, str]]) -> None:
    """Change functions: `at` is module:qualified.name; `body` its new body, or `new` in place of `old`, once.

    Raises:
        PatchError: there is no such function, `old` is not in it exactly once, or what comes of it is no function.
    """
    sources: dict[str, str] = {}
    for patch in patches:
        at = patch["at"]
        source = sources.get(at) or textwrap.dedent(inspect.getsource(function_at(at)))
        if "old" in patch and source.count(patch["old"]) != 1:
            raise PatchError(f"{at}: {source.count(patch['old'])} times in it: {patch['old']}")
        sources[at] = (
            source.replace(patch["old"], patch["new"]) if "old" in patch else bodied(source, patch["body"])
        )
    for at, source in sources.items():
        exchange(function_at(at), source, at)


def bodied(source: str, body: str) -> str:
    """The function with another body, as text again."""
    tree = ast.parse(source)
    tree.body[0].body = ast.parse(textwrap.dedent(body)).body  # type: ignore[attr-defined]  # it is a function
    return ast.unparse(tree)


def exchange(function: FunctionType, source: str, at: str) -> None:
    """Give `function` the code that `source` is."""
    tree = ast.parse(source)
    if len(tree.body) != 1 or not isinstance(definition := tree.body[0], ast.FunctionDef):
        raise PatchError(f"{at}: what comes of it is not one function")
    definition.decorator_list = []
    code = compiled(tree, function.__code__.co_filename, definition.name)
    if code.co_freevars != function.__code__.co_freevars:
        raise PatchError(f"{at}: a function with free variables cannot be patched")
    function.__code__ = code


def function_at(at: str) -> FunctionType:
    """The plain function behind a name: of a property its getter, of a context manager its generator."""
    module, _, qualified = at.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in qualified.split("."):
            found = inspect.getattr_static(found, name)
    except (ImportError, AttributeError) as error:
        raise PatchError(f"{at}: {error}") from error
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    found = inspect.unwrap(found)
    if not inspect.isfunction(found):
        raise PatchError(f"{at} is no function")
    return found


def compiled(tree: ast.Module, filename: str, name: str) -> CodeType:
    """The code of the one function that the tree defines."""
    flags = __future__.annotations.compiler_flag
    module = compile(ast.fix_missing_locations(tree), filename, "exec", flags=flags, dont_inherit=True)
    return next(each for each in module.co_consts if inspect.iscode(each) and each.co_name == name)


if __name__ == "__main__":
    sys.exit(main())
