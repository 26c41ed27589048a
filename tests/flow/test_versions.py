"""Is there a newer version? Asked of the fake Hub: current, newer, offline, 304, refused, rationed, down, stale."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Hang, Refused, Status
from fakes.world import World
from fallback import Settings, check_versions, due_models, known_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback import Version

DAY = 86400.0
NOW = 1_800_000_000.0
PIN = "ab" * 20
MODELS: dict[str, Any] = {
    "tiny": {
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": PIN, "path": ""},
        "files": {"config.json": {"size": 900}, "vocab.txt": {"size": 400}, "model.onnx": {"size": 30_000}},
    },
    "voice": {
        "dir": "voice",
        "huggingface": {"repo": "org/voice", "repo_type": "dataset", "revision": "main", "path": "v1"},
        "files": {"a.onnx": {"size": 2000}},
    },
    "own": {"dir": "own", "files": {"x.bin": {"size": 10}}},
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=1) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/.manifests.json").write_text(json.dumps(world.manifest()))
    return Settings(
        models_dir=tmp_path / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        timeout_s=0.5,
        connect_timeout_s=0.5,
        backoff_s=0,
        max_wait_s=0.2,
        reserve_bytes=0,
    )


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
    assert "tiny" not in due_models(settings, NOW + 0.99 * DAY, pytest.fail)
    assert "tiny" in due_models(settings, NOW + 1.1 * DAY, pytest.fail)
    assert "tiny" in due_models(settings, NOW - 1, pytest.fail)
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
