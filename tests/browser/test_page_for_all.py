"""The page for everybody: by keyboard, at 360 px, in the dark, behind a token, whatever things are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from fakes.faults import Bandwidth, Status
from fakes.world import World
from tests.browser.conftest import keep
from tests.browser.contrast import poor_contrast
from tests.flow.serving import Server

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from tests.browser.conftest import Open

pytestmark = pytest.mark.needs("chromium")

TOKEN = "canary/+token-0123456789"
HOSTILE = '<img src=x onerror="document.title=1">'
RTL = "\u202egnp.exe"
FILE = f"{'very-long-' * 12}<script>alert(1)</ script>.onnx"
HOSTILE_MODELS: dict[str, Any] = {
    HOSTILE: {
        "type": "<b>x</b>",
        "dir": "org/hostile",
        "huggingface": {"repo": "org/hostile", "repo_type": "model", "revision": "main", "path": ""},
        "files": {FILE: {"size": 40_000}},
    }
}


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim()"))


def tab_to(page: Page, name: str) -> None:
    for _ in range(10):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"the keyboard does not get to {name}")


def test_the_keyboard_alone_begins_and_cancels(server: Server, world: World, browse: Open) -> None:
    """What is pressed keeps the focus, also when it can be pressed no more; where the focus is can be seen."""
    world.add("*", Bandwidth(rate=100))
    page = browse(server.url)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    tab_to(page, "Sync")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Syncing")).to_be_visible()
    expect(page.get_by_role("button", name="Sync")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sync stopped")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert [run["joined"] for run in server.get("api/models/sync")["runs"]] == [0]


def test_at_360_px_and_in_the_dark_nothing_is_cut_or_too_faint(
    server: Server, world: World, browse: Open
) -> None:
    """Before, and after a failure, which has the longest texts."""
    everybody = world.add("*", Status(404))
    narrow = browse(server.url, width=360, height=740)
    dark = browse(server.url, scheme="dark")
    expect(dark.get_by_text("Connected", exact=True)).to_be_visible()
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 21)"
    assert fits(narrow)
    narrow.get_by_role("button", name="Sync").click()
    for page in (narrow, dark):
        expect(page.get_by_role("heading", name="Sync failed")).to_be_visible()
        expect(page.get_by_role("region", name="The last errors")).to_contain_text("No source left")
        assert fits(page)
        assert poor_contrast(page) == []
    keep(narrow, "narrow-failed")
    keep(dark, "dark-failed")
    world.remove(everybody)
    narrow.get_by_role("button", name="Retry").click()
    for page, name in ((narrow, "narrow"), (dark, "dark")):
        expect(page.get_by_role("heading", name="Sync completed")).to_be_visible()
        assert fits(page)
        assert poor_contrast(page) == []
        keep(page, name)


def test_whatever_it_is_called_it_is_text(tmp_path: Path, browse: Open) -> None:
    """Names, and errors that quote a source: no element, no script, and no letter out of its order."""
    with World(HOSTILE_MODELS, size="full") as world, Server(world, tmp_path) as server:
        world.add("*", Status(404))
        page = browse(server.url, width=360)
        page.route("**/api/sources", lambda route: route.fulfill(json={"sources": [SOURCE]}))
        page.route("**/api/metrics/downloads/history", lambda route: route.fulfill(json=HISTORY))
        page.reload()
        page.get_by_role("button", name="Sync").click()
        expect(page.get_by_role("heading", name="Sync failed")).to_be_visible()
        expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
        expect(page.get_by_role("region", name="Models")).to_contain_text("<script>alert(1)")
        expect(page.get_by_role("region", name="Sources")).to_contain_text(f"{HOSTILE} says")
        expect(page.get_by_role("region", name="The last errors")).to_contain_text(f"{HOSTILE} failed")
        assert page.locator("main img, main script, main b:not([data-part])").count() == 0
        assert page.title() == "fallback"
        assert fits(page)
        keep(page, "hostile")


COUNTS = {"success": 0, "error": 1, "avg_latency": 0.0}
SOURCE = {
    "layer": HOSTILE,
    "source": f"{HOSTILE}.example",
    "state": "cooling",
    "health": f"{HOSTILE} says",
    "reason": "",
    "attempts": COUNTS,
}
HISTORY = {
    "hours": ["2026-01-31T10:00:00.000Z"],
    "layers": {HOSTILE: COUNTS | {"hours": [COUNTS]}},
    "errors": [
        {
            "timestamp": "2026-01-31T10:20:30.000Z",
            "model": HOSTILE,
            "file": RTL,
            "gateway": f"{HOSTILE}.example",
            "error_type": "<b>bad</b>",
            "error_message": f"{HOSTILE} failed\n<script>alert(2)</script>{'w' * 500}",
        }
    ],
}


def test_the_token_is_asked_for_once_and_is_in_no_url(world: World, tmp_path: Path, browse: Open) -> None:
    """It opens the WebSocket, too; a wrong one is said to be; the tab keeps it over a reload, until it is forgotten."""
    with Server(world, tmp_path, environment={"FALLBACK_SERVE_TOKEN": TOKEN}) as server:
        page = browse(server.url)
        urls: list[str] = []
        page.on("request", lambda asked: urls.append(asked.url))
        page.on("websocket", lambda socket: urls.append(socket.url))
        field = page.get_by_label("Token", exact=True)
        expect(field).to_be_focused()
        expect(page.get_by_role("button", name="Sync")).to_be_hidden()
        keep(page, "token")
        field.fill("wrong")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        field.fill(TOKEN)
        field.press("Enter")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        page.get_by_role("button", name="Sync").click()
        expect(page.get_by_role("heading", name="Sync completed")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="Sync completed")).to_be_visible()
        assert any(url.startswith("ws://") for url in urls)
        assert not [url for url in urls if "canary" in url or "?" in url]
        page.get_by_role("button", name="Forget the token").click()
        expect(field).to_be_focused()
        assert page.evaluate("sessionStorage.length + localStorage.length") == 0
        assert page.get_by_text("whisper-base").is_hidden()


def test_what_was_asked_for_with_a_token_that_is_forgotten_is_not_shown(
    world: World, tmp_path: Path, browse: Open
) -> None:
    with Server(world, tmp_path, environment={"FALLBACK_SERVE_TOKEN": TOKEN}) as server:
        page = browse(server.url)
        field = page.get_by_label("Token", exact=True)
        field.fill(TOKEN)
        field.press("Enter")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        expect(page.get_by_text("whisper-base").first).to_be_visible()
        held: list[Route] = []
        page.route("**/api/models", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks what it is given
        with page.expect_request("**/api/models"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_role("button", name="Forget the token").click()
        expect(field).to_be_focused()
        with page.expect_response("**/api/models"):
            held[0].continue_()
        page.evaluate("new Promise((go_on) => setTimeout(go_on, 100))")
        expect(page.get_by_role("main")).to_be_hidden()


def test_a_browser_that_was_asked_for_the_password_needs_no_token_besides(
    world: World, tmp_path: Path, browse: Open
) -> None:
    with Server(world, tmp_path, environment={"FALLBACK_SERVE_TOKEN": "plain"}) as server:
        page = browse(server.origin.replace("//", "//any:plain@"))  # as by the browser's own dialogue
        page.goto(server.url)
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
