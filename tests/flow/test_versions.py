"""Is there a newer version? Asked of the fake Hub: current, newer, offline, 304, refused, rationed, down, stale."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Hang, Refused, Status
from fakes.world import World
from fallback import StoppedError, check_versions, due_models, known_versions, sync
from tests.flow.pinned import OWN, PIN, TINY, in_force

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback import Settings, Version
    from fallback.events import Event

DAY = 86400.0
NOW = 1_800_000_000.0
MODELS: dict[str, Any] = {
    "tiny": {
        "dir": "org/tiny",
        "huggingface": TINY,
        "files": {"config.json": {"size": 900}, "vocab.txt": {"size": 400}, "model.onnx": {"size": 30_000}},
    },
    "voice": {
        "dir": "voice",
        "huggingface": {"repo": "org/voice", "repo_type": "dataset", "revision": "main", "path": "v1"},
        "files": {"a.onnx": {"size": 2000}},
    },
    "own": OWN,
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=1) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    return in_force(world, tmp_path)


def ask(settings: Settings, now: float = NOW, *models: str, **more: Any) -> Version:
    """What is known of the first of these models (of `tiny`) once it was asked."""
    return check_versions(models or ("tiny",), settings=settings, now=now, **more)[0]


def known(settings: Settings, now: float) -> Version:
    return known_versions(settings, pytest.fail, ["tiny"], now)[0]


def test_a_model_at_the_commit_of_its_branch_is_current(world: World, settings: Settings) -> None:
    """Its files are HEADed there, none is fetched, and nothing is written into the models folder but our own."""
    version = ask(settings)
    assert (version.state, str(version), version.found) == ("current", "current", PIN)
    heads = world.journal.select(server="hub", method="HEAD")
    assert {entry.path for entry in heads} == {
        f"/org/tiny/resolve/{PIN}/{path}" for path in MODELS["tiny"]["files"]
    }
    assert [entry.method for entry in world.journal.select(method="GET")] == ["GET"]
    assert not world.journal.select(server="cdn")
    assert {path.name for path in settings.models_dir.iterdir()} == {".manifests.json", ".fallback"}


def test_a_newer_commit_is_named_with_what_differs_there(world: World, settings: Settings) -> None:
    """Of one size but other bytes, in LFS or not; gone; and what stayed is not among them."""
    ask(settings)
    commit = world.push("org/tiny", {"config.json": 900, "model.onnx": 30_000, "README.md": 5}).commit
    version = ask(settings, NOW + 2 * DAY)
    assert (version.state, version.found, version.pinned) == ("newer", commit, PIN)
    assert set(version.differing) == {"config.json", "model.onnx"}
    assert str(version) == f"newer (commit {commit}); 2 file(s) differ"
    world.push("org/tiny", {"vocab.txt": None})
    assert set(ask(settings, NOW + 4 * DAY).differing) == set(MODELS["tiny"]["files"])


def test_a_newer_commit_that_touches_no_file_of_the_model_says_so(world: World, settings: Settings) -> None:
    """Also when it was never asked before: what the small files are at the pinned commit is asked for then."""
    commit = world.push("org/tiny", {"README.md": 5}).commit
    assert str(ask(settings)) == f"newer (commit {commit}); none of its files differs"
    assert len(world.journal.select(method="HEAD", path=f"*/resolve/{PIN}/*")) == 2


def test_it_is_asked_once_a_day_and_a_little_later(world: World, settings: Settings) -> None:
    """At most: not an hour before; at the latest a tenth of a day after; at once if a person says so, or the clock was wrong."""
    ask(settings)
    world.journal.clear()
    assert ask(settings, NOW + 0.99 * DAY).state == "current"
    assert not world.journal.entries()
    assert "tiny" not in due_models(settings, pytest.fail, NOW + 0.99 * DAY)
    assert "tiny" in due_models(settings, pytest.fail, NOW + 1.1 * DAY)
    assert "tiny" in due_models(settings, pytest.fail, NOW - DAY)
    ask(settings, NOW + 60, anyway=True)
    assert world.journal.entries()


def test_a_304_is_an_answer(world: World, settings: Settings) -> None:
    """Of the commit as the Hub says it, of a file as a mirror may; each question carries the ETag of the last answer."""
    ask(settings)
    world.journal.clear()
    world.add("hub", Status(304), method="HEAD")
    assert str(ask(settings, NOW + 2 * DAY)) == "current"
    entries = world.journal.entries()
    assert [entry.status for entry in entries] == [304] * 4


def test_a_304_that_nobody_asked_for_is_none(world: World, settings: Settings) -> None:
    world.add("hub", Status(304))
    version = ask(settings)
    assert version.state == "unknown"
    assert "status 304" in version.problem


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Refused(), "refused"),
        (Status(503), "the server failed (503)"),
        (Status(429, retry_after=3600), "asks to wait 3600 s"),
        (Hang(), "0.5 s"),
    ],
)
def test_a_hub_that_does_not_answer_makes_it_unknown_since_it_last_did(
    world: World, settings: Settings, fault: Any, says: str
) -> None:
    """Not since it failed; with the reason; and the first answer after that mends it."""
    ask(settings)
    world.add("hub", fault)
    for later in (2, 4):
        version = ask(settings, NOW + later * DAY)
        assert (version.state, version.unknown_since, version.found) == ("unknown", NOW, PIN)
        assert str(version).startswith("unknown since 2027-01-15T08:00:00+00:00; 127.0.0.1:")
        assert not version.stale
    assert says in ask(settings, NOW + 4 * DAY).problem


def test_a_failed_question_is_not_asked_again_today(world: World, settings: Settings) -> None:
    """At most daily also while the Hub is down: a fleet does not hammer it."""
    world.add("hub", Status(503))
    ask(settings)
    count = len(world.journal.entries())
    ask(settings, NOW + 3600)
    assert len(world.journal.entries()) == count


def test_without_a_network_it_is_served_and_stale_after_90_days(world: World, settings: Settings) -> None:
    """Known until then; then unknown since it was, and stale; and a sync of what is here asks nobody (P9)."""
    assert sync(models=["tiny"], settings=settings).ok
    ask(settings)
    offline = dataclasses.replace(settings, offline=True)
    world.journal.clear()
    for days, state, stale in ((1, "current", False), (90, "current", False), (90.1, "unknown", True)):
        version = known(offline, NOW + days * DAY)
        assert (version.state, version.stale) == (state, stale), days
        assert ask(offline, NOW + days * DAY) == version, "nothing is asked, and nothing is written"
    assert str(version) == "unknown since 2027-01-15T08:00:00+00:00; stale"
    assert sync(models=["tiny"], settings=offline).ok
    assert not world.journal.entries()
    assert ask(settings, NOW + 91 * DAY).state == "current", "and one answer makes it fresh"


def test_a_hub_that_is_down_for_90_days_makes_it_stale_with_the_reason(
    world: World, settings: Settings
) -> None:
    """Also one that was never known: since it was first asked about."""
    world.add("hub", Status(503))
    assert str(ask(settings)).startswith("unknown since 2027-01-15T08:00:00+00:00; 127.0.0.1:")
    version = ask(settings, NOW + 91 * DAY)
    assert version.stale
    assert (version.unknown_since, version.known_at) == (NOW, None)
    assert str(version).endswith("the server failed (503); stale")


def test_a_newer_commit_is_not_forgotten_while_the_hub_is_down(world: World, settings: Settings) -> None:
    commit = world.push("org/tiny", {"config.json": 901}).commit
    ask(settings)
    world.add("hub", Status(503))
    version = ask(settings, NOW + 2 * DAY)
    assert f"unknown since 2027-01-15T08:00:00+00:00, then newer (commit {commit})" in str(version)


def test_a_gated_repository_says_its_commit_and_that_it_is_gated(settings: Settings) -> None:
    """What it holds is public there, the files are not; with the token they are."""
    with World(MODELS, size="full", gateways=1, token="hf_good", gated=["org/tiny"]) as gated:
        there = dataclasses.replace(settings, hf_endpoint=gated.hub)
        version = ask(there)
        assert (version.state, version.differing) == ("current", ())
        assert "org/tiny is gated (401)" in version.problem
        version = ask(dataclasses.replace(there, hf_token="hf_good"), NOW + 2 * DAY)
        assert (str(version), version.problem) == ("current", "")
        assert not gated.journal.select(server="cdn")


def test_a_quota_that_is_spent_is_waited_for_no_longer_than_max_wait_s(settings: Settings) -> None:
    """And the commit is known from what came before it was."""
    with World(MODELS, size="full", gateways=1, hub_quota=2, hub_window_s=300) as rationed:
        began = time.monotonic()
        version = ask(dataclasses.replace(settings, hf_endpoint=rationed.hub))
        assert version.state == "current"
        assert "429" in version.problem
        assert time.monotonic() - began < 10


def test_a_model_that_follows_a_branch_or_nothing_says_so(world: World, settings: Settings) -> None:
    """The commit there, and whether its files in LFS are still those of the manifest."""
    commit = world.push("org/voice", {"v1/a.onnx": 2000}, repo_type="dataset").commit
    version = ask(settings, NOW, "voice")
    assert (version.state, version.pinned, version.branch) == ("unpinned", None, "main")
    says = f"unpinned: it follows main, now at commit {commit}; `fallback upgrade` pins it; 1 file(s) differ"
    assert str(version) == says
    world.journal.clear()
    version = ask(settings, NOW, "own", anyway=True)
    assert str(version) == "untracked: its manifest names no repository on HuggingFace"
    assert not world.journal.entries()


def test_a_pin_that_is_gone_from_the_hub_is_said(world: World, settings: Settings) -> None:
    """History was rewritten there: the model can be got from the Hub no more."""
    world.push("org/tiny", {"config.json": 900})
    world.add("hub", Status(404, headers={"X-Error-Code": "RevisionNotFound"}), path=f"*/resolve/{PIN}/*")
    version = ask(settings)
    assert version.state == "newer"
    assert f'org/tiny has no revision "{PIN}"' in version.problem


def test_a_file_that_says_nothing_of_itself_is_a_problem_and_no_difference(
    world: World, settings: Settings
) -> None:
    world.add("hub", Status(302, headers={"Location": "/x"}), path="*/resolve/*")
    world.add("hub", Status(200), path="/x")
    version = ask(settings)
    assert (version.state, version.differing) == ("current", ())
    assert "does not say what the file is there" in version.problem


def test_a_token_goes_to_the_hub_alone(world: World, settings: Settings) -> None:
    """P7: the CDN is not asked at all, and nothing that is kept holds it."""
    ask(dataclasses.replace(settings, hf_token="hf_secret"))
    told = world.journal.entries()
    assert {entry.server for entry in told} == {"hub"}
    assert {entry.headers.get("authorization") for entry in told} == {"Bearer hf_secret"}
    for path in (settings.models_dir / ".fallback").rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()


def test_another_endpoint_is_another_question(world: World, settings: Settings) -> None:
    """What one Hub said is not what another one says."""
    ask(settings)
    with World(MODELS, size="full", gateways=1) as other:
        there = dataclasses.replace(settings, hf_endpoint=other.hub)
        assert str(known(there, NOW)) == "unknown: never asked"
        assert ask(there).state == "current"
    assert world.journal.entries()


def test_two_that_ask_at_once_ask_once(world: World, settings: Settings) -> None:
    """The second waits for the first and finds its answers."""
    answers: list[Version] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(settings))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {str(version) for version in answers} == {"current"}
    assert len(world.journal.select(path="*/revision/*")) == 1


def test_stop_ends_it_and_keeps_what_was_answered(world: World, settings: Settings) -> None:
    world.add("hub", Hang(), path="*/datasets/*")
    patient, stop = dataclasses.replace(settings, timeout_s=30), threading.Event()
    threading.Timer(1, stop.set).start()
    with pytest.raises(StoppedError):
        ask(patient, NOW, "tiny", "voice", stop=stop)
    assert known(settings, NOW).state == "current"


def test_a_database_that_cannot_be_used_is_no_reason_not_to_ask(world: World, settings: Settings) -> None:
    """P11: what was answered is told all the same."""
    blocked = settings.models_dir / "state"
    blocked.write_text("a file where a folder should be")
    told: list[Event] = []
    version = ask(dataclasses.replace(settings, state_dir=blocked), NOW, observer=told.append)
    assert version.state == "current"
    assert any("going on without it" in str(event) for event in told)
    assert world.journal.entries()
