"""The page shows what goes on, and its buttons do what they say, in a real browser."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from fakes.faults import Bandwidth, Hang, Status
from tests.browser.conftest import keep
from tests.flow.serving import Server

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from fakes.world import World
    from tests.browser.conftest import Open

pytestmark = pytest.mark.needs("chromium")

RIGHT = "completed: every file is right"
KEPT = "stopped: what has come is kept"


def run_heading(page: Page, text: str) -> Locator:
    return page.get_by_role("region", name="Runs").get_by_role("heading", name=text)


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def share(page: Page) -> float:
    """The progress of the whole run, in percent."""
    bar = page.get_by_role("progressbar", name="The whole run")
    return float(bar.get_attribute("value") or 0)


def row(page: Page, region: str, text: str) -> Locator:
    """The innermost item of that region's list that has the text."""
    items = page.get_by_role("region", name=region).get_by_role("listitem")
    return items.filter(has_text=text).filter(has_not=page.get_by_role("list"))


def test_a_sync_with_failover_is_watched_to_its_end(server: Server, world: World, browse: Open) -> None:
    """The first gateway has nothing, the second never answers, the third serves slowly: each is said."""
    world.add("gateway1", Status(404))
    world.add("gateway2", Hang())
    world.add("gateway3", Bandwidth(rate=700))
    page = browse(server.url)
    expect(run_heading(page, "No file is here yet")).to_be_visible()
    keep(page, "idle")
    press(page, "Sync")
    expect(run_heading(page, "Syncing")).to_be_visible()
    third = world.gateways[2].removeprefix("http://")
    largest = row(page, "Models", "decoder_model_merged.onnx")
    expect(largest).to_contain_text(re.compile(rf"IPFS · {third} · [\d.]+.[kM]B/s · \d+.s left · 2.retries"))
    bar = largest.get_by_role("progressbar", name="onnx/decoder_model_merged.onnx")
    expect(bar).to_have_attribute("value", re.compile(r"[2-9]\d(\.\d+)?"))
    expect(row(page, "Sources", world.gateways[1].removeprefix("http://"))).to_contain_text(
        re.compile(r"no answer within 0\.7 s")
    )
    expect(page).to_have_title(re.compile(r"^\d+.% · fallback$"))
    keep(page, "syncing")
    expect(run_heading(page, RIGHT)).to_be_visible()
    expect(page.get_by_role("status")).to_have_text(f"Sync {RIGHT}")
    expect(row(page, "Models", "tokenizer.model")).to_contain_text(re.compile(rf"IPFS · {third} · proven.\d"))
    expect(
        page.get_by_role("img", name=re.compile(r"^IPFS, hour by hour: \d+.% of \d+.attempts"))
    ).to_be_visible()
    expect(page.get_by_role("region", name="The last errors")).to_contain_text("Not there (404)")
    assert share(page) == 100
    keep(page, "completed")


def test_an_outage_shows_its_error_and_retry_works_after_it(
    server: Server, world: World, browse: Open
) -> None:
    everybody = world.add("*", Status(404))
    page = browse(server.url)
    press(page, "Sync")
    expect(run_heading(page, "Sync failed")).to_be_visible()
    expect(page.get_by_role("region", name="Runs")).to_contain_text("not there (404)")
    expect(row(page, "Models", "tokenizer.model")).to_contain_text("Failed: ")
    keep(page, "failed")
    world.remove(everybody)
    press(page, "Retry")
    expect(run_heading(page, RIGHT)).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_have_attribute("aria-disabled", "true")
    assert "Failed" not in page.get_by_role("region", name="Models").inner_text()


def test_a_reload_in_the_middle_shows_how_it_stands_and_cancel_keeps_it(
    server: Server, world: World, browse: Open
) -> None:
    world.add("*", Bandwidth(rate=120))
    page = browse(server.url)
    press(page, "Sync")
    expect(row(page, "Models", "decoder_model_merged.onnx")).to_contain_text("left")
    before = share(page)
    page.reload()
    expect(run_heading(page, "Syncing")).to_be_visible()
    expect(row(page, "Models", "decoder_model_merged.onnx")).to_contain_text(
        re.compile(r"\d+.% of 1\.6.MB.*left")
    )
    assert 0 < before <= share(page) < 100
    press(page, "Cancel")
    expect(run_heading(page, KEPT)).to_be_visible()
    expect(row(page, "Models", "decoder_model_merged.onnx")).to_contain_text("Stopped; what has come is kept")
    keep(page, "stopped")
    world.clear()
    press(page, "Retry")
    expect(run_heading(page, RIGHT)).to_be_visible()
    press(page, "Verify")
    expect(run_heading(page, f"Verify {RIGHT}")).to_be_visible()


def test_a_lost_connection_is_said_and_made_again(world: World, tmp_path: Path, browse: Open) -> None:
    """The server is killed in the middle of a sync and started again on its port: the run is over, and said to be."""
    world.add("*", Bandwidth(rate=120))
    with Server(world, tmp_path) as first:
        page = browse(first.url)
        press(page, "Sync")
        expect(row(page, "Models", "decoder_model_merged.onnx")).to_contain_text("left")
        first.end(signal.SIGKILL)
        expect(page.get_by_text("The connection is lost. What is shown is from")).to_be_visible()
        expect(page.get_by_text("Not connected")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_attribute("aria-disabled", "true")
        keep(page, "lost")
    port = first.origin.rpartition(":")[2]
    world.clear()
    with Server(world, tmp_path, environment={"FALLBACK_SERVE_PORT": port}) as second:
        assert second.url == first.url
        expect(page.get_by_text("Connected", exact=True)).to_be_visible()
        expect(page.get_by_text("The connection is lost")).to_be_hidden()
        expect(run_heading(page, "The server was started again")).to_be_visible()
        press(page, "Retry")
        expect(run_heading(page, RIGHT)).to_be_visible()


def test_two_runs_at_once_are_told_apart_and_cancelled_together(
    server: Server, world: World, browse: Open
) -> None:
    world.add("*", Bandwidth(rate=100))
    page = browse(server.url)
    for model in ("whisper-base", "tts-models"):
        server.sync(json={"models": [model]})
        expect(run_heading(page, f"Syncing {model}")).to_be_visible()
    assert page.get_by_role("progressbar", name="The whole run").count() == 2
    press(page, "Cancel")
    expect(run_heading(page, KEPT)).to_be_visible()
    assert {run["status"] for run in server.get("api/models/sync")["runs"]} <= {"stopping", "paused"}


COMMIT, NEWER = "1" * 40, "2" * 40
VERSIONS: dict[str, tuple[dict[str, Any], str]] = {
    "first": ({"state": "current", "pinned": COMMIT}, "Current.*commit 11111111"),
    "second": (
        {"state": "newer", "pinned": COMMIT, "commit": NEWER, "differing": ["a"]},
        "Newer version.*commit 22222222, 1.file differs; fallback upgrade second fetches it",
    ),
    "third": (
        {"state": "unknown", "since": "2026-01-31T10:00:30+00:00", "problem": "no answer", "stale": True},
        r"Unknown since 31 Jan, \d\d:\d0, stale.*no answer",
    ),
    "fourth": ({"state": "unknown", "since": None}, "Version never asked for"),
    "fifth": ({"state": "unpinned", "branch": "main"}, "Unpinned.*follows main"),
    "sixth": ({"state": "untracked"}, "Untracked.*no repository"),
}


def test_each_model_s_version_is_said(server: Server, browse: Open) -> None:
    """What the server answers is not asked for here; tests/flow/test_versions.py is about that."""
    page = browse(server.url)
    models = [{"name": name, "version": version, "files": []} for name, (version, _) in VERSIONS.items()]
    page.route("**/api/models", lambda route: route.fulfill(json={"models_dir": "/m", "models": models}))
    page.reload()
    for name, (_, said) in VERSIONS.items():
        model = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))
        expect(model).to_contain_text(re.compile(said))
    keep(page, "versions")
