"""Imports point one way (DESIGN, The house)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = [
    "errors",
    "clock",
    "owner",
    "durable",
    "values",
    "given",
    "settings",
    "ipfs",
    "names",
    "reading",
    "manifest",
    "wanted",
    "force",
    "chunks",
    "facts",
    "events",
    "broadcast",
    "teller",
    "results",
    "verify",
    "outcome",
    "health",
    "chance",
    "plan",
    "streams",
    "exchange",
    "tar",
    "bundles.input",
    "bundles.source",
    "stores",
    "sources",
    "judging",
    "state",
    "ledger",
    "partial",
    "mending",
    "adoption",
    "sweeping",
    "locks",
    "places",
    "cache",
    "watchdog",
    "answer",
    "stream_answer",
    "connect",
    "foreign",
    "http_answer",
    "trail",
    "transport",
    "race",
    "share",
    "slots",
    "network",
    "metrics",
    "downloads",
    "run",
    "pursuit",
    "pace",
    "segments",
    "member",
    "convoy",
    "proofs",
    "trustless",
    "holding",
    "work",
    "download",
    "flight",
    "engine",
    "checking",
    "hub_answers",
    "version",
    "hub_api",
    "revalidate",
    "folder",
    "workers",
    "author",
    "merge",
    "waiting",
    "switch",
    "upgrade",
    "cleaning",
    "bundles",
    "publish",
    "report",
    "server",
    "fleet",
    "cli",
    "__main__",
]
"""Rooms; a module of one stands by itself where it is used before the rest of its room is."""


def imported(path: Path) -> set[str]:
    """Modules imported at run time: what stands under TYPE_CHECKING names a type and loads nothing."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If)
        and isinstance(branch.test, ast.Name)
        and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= (
                {node.module}
                if node.module != "fallback"
                else {f"fallback.{alias.name}" for alias in node.names}
            )
    return found


def place(module: str) -> int:
    """Where a module below `fallback`, by its name there, stands in the order: by itself, or with its room."""
    return ORDER.index(module if module in ORDER else module.partition(".")[0])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "fallback").with_suffix("").parts)


MODULES = sorted(
    path for path in (ROOT / "fallback").rglob("*.py") if path != ROOT / "fallback" / "__init__.py"
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_engine_imports_only_what_comes_before_it(path: Path) -> None:
    own = place(name_of(path))
    for module in imported(path):
        assert module.split(".")[0] not in {"fakes", "bench", "tests"}
        if module.startswith("fallback."):
            assert place(module.removeprefix("fallback.")) <= own, f"{path.name} imports {module}"


def test_order_names_every_room() -> None:
    rooms = {name_of(path).partition(".")[0] for path in MODULES}
    assert rooms == {each for each in ORDER if "." not in each}
    assert {each for each in ORDER if "." in each} <= {name_of(path) for path in MODULES}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "fakes").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_fakes_import_nothing_of_the_engine(path: Path) -> None:
    """Only the pure `fallback.ipfs` may be shared, or a wrong engine would agree with a wrong fake."""
    engine = {module for module in imported(path) if module.split(".")[0] == "fallback"}
    assert all(module.startswith("fallback.ipfs") for module in engine)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted((ROOT / "tests/conformance").rglob("*.py"))
        if path.parent.name != "clients"  # a client is a program like any other, and may be this engine
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_conformance_suite_knows_nothing_of_the_engine(path: Path) -> None:
    """It tests executables: pytest, the fakes and the standard library are all it needs, under either of its names."""
    known = sys.stdlib_module_names | {"pytest", "fakes"}
    assert {module.split(".")[0] for module in imported(path)} <= known
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.ImportFrom) or node.level < 2, "an import from outside the suite"


def test_no_module_is_longer_than_its_idea() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("fallback", "fakes", "bench")
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long
