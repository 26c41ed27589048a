"""A command line whose files are all here: what it loads, opens and asks, as its process itself tells."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fallback import sync

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest, Settings

CHILD = """
import json, sys
told = []
sys.addaudithook(lambda name, given: told.append([name, str(given[0])]) if name == "open" or name.startswith("socket.") else None)
from fallback.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps({"code": end.code, "modules": sorted(sys.modules), "told": told}))
"""
"""Runs the command line it is given; what it says itself goes to stderr."""


def run(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=True, capture_output=True, text=True
    )
    child: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert child["code"] == 0, done.stderr
    return child


@pytest.fixture(name="arguments")
def _arguments(world: World, settings: Settings, manifest: Manifest, tmp_path: Path) -> list[str]:
    """A sync of a folder that is complete, with a lock folder that nobody can have touched unseen."""
    assert sync(manifest, settings=settings).ok
    path = tmp_path / "manifest.json"
    path.write_text(manifest.to_json())
    gateways = [f"--gateway={url}" for url in settings.gateways]
    world.journal.clear()
    return ["sync", "--models-dir", str(settings.models_dir), "--manifest", str(path), *gateways]


@pytest.mark.parametrize("flags", [[], ["--quiet"], ["--discover"]], ids=["table", "quiet", "discover"])
def test_a_warm_sync_loads_nothing_that_only_a_missing_file_needs(
    arguments: list[str], flags: list[str]
) -> None:
    """No HTTP library, no locks, no hash functions, no bars, and of this package no way to get a file."""
    modules = set(run([*arguments, *flags])["modules"])
    assert not modules & {"requests", "urllib3", "rich", "starlette", "fallback.locks", "hashlib", "zeroconf"}
    assert not modules & {"fallback.transport", "fallback.download", "fallback.plan", "fallback.partial"}


def test_a_warm_sync_opens_no_model_file_and_no_socket(
    world: World, settings: Settings, arguments: list[str]
) -> None:
    """What is not opened is not hashed; no lock is taken either, and nobody is asked (P9)."""
    told = run(arguments)["told"]
    opened = [given for name, given in told if name == "open"]
    assert any("manifest.json" in path for path in opened), "the hook hears of files"
    assert not [path for path in opened if str(settings.models_dir / "org") in path or "/locks/" in path]
    assert not [name for name, _given in told if name.startswith("socket.")]
    assert not world.journal.entries()


def test_a_cold_sync_without_a_terminal_loads_no_bars(settings: Settings, arguments: list[str]) -> None:
    """And the same child does hear of sockets and locks, where there are any."""
    (settings.models_dir / "org/tiny/config.json").unlink()
    child = run(arguments)
    assert "rich" not in child["modules"]
    assert [name for name, _given in child["told"] if name == "socket.connect"]
    assert [path for name, path in child["told"] if name == "open" and path.endswith(".lock")]
