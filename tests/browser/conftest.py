"""Real Chromium before a real `fallback serve` before a fake world.

The browser lives as long as a module: Playwright's loop runs in the thread of the tests, where no other
test may then run one of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from fakes.world import World
from tests.flow.serving import Server
from tests.programs import ROOT, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    Open = Callable[..., Page]

SHOTS = ROOT / "out" / "screenshots"
ALONE = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
"""It talks to nobody but the server."""

expect.set_options(timeout=20_000)

MODELS: dict[str, Any] = {
    "whisper-base": {
        "type": "stt",
        "dir": "onnx-community/whisper-base",
        "huggingface": {
            "repo": "onnx-community/whisper-base",
            "repo_type": "model",
            "revision": "main",
            "path": "",
        },
        "files": {
            "config.json": {"size": 2_243},
            "tokenizer.json": {"size": 480_466},
            "onnx/encoder_model.onnx": {"size": 900_000},
            "onnx/decoder_model_merged.onnx": {"size": 1_600_000},
        },
    },
    "tts-models": {
        "type": "voice",
        "dir": "tts",
        "huggingface": {"repo": "org/tts", "repo_type": "dataset", "revision": "main", "path": "tts"},
        "files": {"mimi_encoder.onnx": {"size": 700_000}, "tokenizer.model": {"size": 59_339}},
    },
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="server")
def _server(world: World, tmp_path: Path) -> Iterator[Server]:
    with Server(world, tmp_path, environment={"FALLBACK_TIMEOUT_S": "0.7"}) as server:
        yield server


@pytest.fixture(name="chromium", scope="module")
def _chromium() -> Iterator[Browser]:
    """Debian's; Playwright gives it a user-data-dir of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=ALONE)
        yield browser
        browser.close()


@pytest.fixture(name="browse")
def _browse(chromium: Browser) -> Iterator[Open]:
    """Opens a URL in a context of its own; whatever its script or policy had to complain of fails the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def browse(url: str, *, width: int = 1200, height: int = 900, scheme: Any = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)
        page.on("request", lambda asked: wrong.append(asked.url) if is_elsewhere(asked.url) else None)
        page.goto(url)
        return page

    yield browse
    for context in contexts:
        context.close()
    assert not wrong


def is_elsewhere(url: str) -> bool:
    return not re.match(r"(http|ws)://(\w+:\w+@)?127\.0\.0\.1:\d+/|data:", url)


def keep(page: Page, name: str) -> None:
    """A screenshot of the whole page, for people and CI."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
