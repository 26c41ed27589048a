"""The server asks about newer versions by itself, once a day, and is stopped by nothing that comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.faults import Hang
from fakes.world import World
from fallback import Settings, durable, known_versions
from fallback.server import revalidating as module
from fallback.server.revalidating import revalidating
from tests.flow.told import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIN = "ab" * 20
MODELS: dict[str, Any] = {
    "tiny": {
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": PIN, "path": ""},
        "files": {"config.json": {"size": 900}},
    }
}
SERVE = """
from fallback.server import revalidating
revalidating.FIRST_S = 0
from fallback.cli.main import main
main()
"""


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=1) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    (tmp_path / ".manifests.json").write_text(json.dumps(world.manifest()))
    return Settings(models_dir=tmp_path, hf_endpoint=world.hub, timeout_s=5, backoff_s=0, max_wait_s=0.2)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_S", 0.0)
    monkeypatch.setattr(module, "LOOK_S", 0.02)


def state(settings: Settings) -> str:
    return known_versions(settings, pytest.fail)[0].state


def test_many_looks_are_one_question(world: World, settings: Settings) -> None:
    """Also of several servers on one folder; and their threads end with them."""
    with revalidating(settings), revalidating(settings):
        until(lambda: state(settings) == "current")
        threading.Event().wait(0.3)
    assert len(world.journal.select(path="*/revision/*")) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "revalidating"]


def test_it_ends_while_the_hub_is_silent(world: World, settings: Settings) -> None:
    world.add("hub", Hang())
    with revalidating(settings):
        until(lambda: bool(world.journal.entries()))
        began = time.monotonic()
    assert time.monotonic() - began < settings.timeout_s / 2
    assert not [thread for thread in threading.enumerate() if thread.name == "revalidating"]


def test_a_manifest_that_cannot_be_read_is_said_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """And asked about again once it can."""
    path = settings.models_dir / ".manifests.json"
    good, said = path.read_text(), list[str]()

    def count() -> int:
        said.append(capsys.readouterr().err)
        return "".join(said).count("versions are not asked for")

    durable.write_text(path, "{")
    with revalidating(settings):
        until(lambda: count() > 0)
        threading.Event().wait(0.2)
        durable.write_text(path, good)
        until(lambda: state(settings) == "current")
    assert count() == 1


def test_serve_tells_what_it_found_out(world: World, settings: Settings) -> None:
    """Nobody asked it to; and it ends with 0."""
    commit = world.push("org/tiny", {"config.json": 901}).commit
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    own = {"FALLBACK_MODELS_DIR": str(settings.models_dir), "HOME": str(settings.models_dir)}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, "serve", "--port", "0"],
        env=inherited | world.environment() | own,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()

        def said() -> str:
            told = requests.get(f"{url}api/models", timeout=5).json()
            return str(told["models"][0]["version"]["said"])

        until(lambda: said() == f"newer (commit {commit}); 1 file(s) differ")
    finally:
        server.terminate()
        assert server.wait(20) == 0
        server.stdout.close()
