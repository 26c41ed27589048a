"""A world for programs that know nothing of us, a clean environment, and no network but loopback where that can be had."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from fakes.world import World
from tests.clients.netns import loopback_alone
from tests.programs import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

TOKEN = "hf_good"
LARGE = "onnx/model one.onnx"
MODELS: dict[str, Any] = {
    "tiny": {
        "huggingface": {"repo": "org/tiny"},
        "files": {"config.json": {"size": 900}, "empty.txt": {"size": 0}, LARGE: {"size": 3_000_000}},
    },
    "voices": {
        "huggingface": {"repo": "org/voices", "repo_type": "dataset", "path": "tts"},
        "files": {"voice.bin": {"size": 200_000}, "voice.json": {"size": 300}},
    },
    "gated": {"huggingface": {"repo": "org/gated"}, "files": {"secret.bin": {"size": 50_000}}},
    "huge": {"huggingface": {"repo": "org/huge"}, "files": {"huge.bin": {"size": 12_000_000}}},
}


@pytest.fixture(name="alone", scope="package", autouse=True)
def _alone() -> Iterator[bool]:
    """Whether nothing can leave."""
    with loopback_alone() as alone:
        yield alone


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    """Small pages, one repository with a gate, one with an old name."""
    with World(
        MODELS,
        size="full",
        gateways=1,
        page_size=2,
        token=TOKEN,
        gated=["org/gated"],
        renamed={"old/name": "org/tiny"},
    ) as world:
        yield world


@pytest.fixture(name="root")
def _root(world: World) -> str:
    """The URL of the tiny model's folder at the gateway."""
    return f"{world.gateways[0]}/ipfs/{world.catalogue.models['tiny'].cid}"


@pytest.fixture(name="large")
def _large(root: str) -> str:
    return f"{root}/onnx/model%20one.onnx"


@pytest.fixture(name="content")
def _content(world: World) -> bytes:
    """The large file's bytes."""
    return bytes(world.catalogue.models["tiny"].files[LARGE].view())


@pytest.fixture(name="run")
def _run(world: World, tmp_path: Path) -> Run:
    """Runs a program in `tmp_path` with nothing of ours in its environment; what is no loopback goes to a dead proxy."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "HF_ENDPOINT": world.hub,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost",
    }

    def run(program: str, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [path_of(program), *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    return run
