"""What the files of a run share: its stop, its observers, its health."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from fallback.errors import StoppedError
from fallback.events import RunStarted, Warned
from fallback.health import Cooling, Up
from fallback.outcome import Unreachable
from fallback.run import Stop, running
from fallback.settings import Settings
from fallback.sources import mirrors

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.events import Event
    from fallback.health import Health

SOURCES = mirrors(["http://one.invalid/x", "http://two.invalid/x"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path, backoff_s=5)


class TestStop:
    """Either event ends the run; the caller's is only read."""

    def test_our_own(self) -> None:
        outer = threading.Event()
        stop = Stop(outer)
        assert not stop.is_set()
        stop.set()
        assert (stop.is_set(), outer.is_set()) == (True, False)
        assert stop.wait(60)

    def test_the_caller_s_wakes_a_sleeper(self) -> None:
        outer = threading.Event()
        threading.Timer(0.05, outer.set).start()
        assert Stop(outer).wait(60)

    def test_a_sleep_that_nobody_ends(self) -> None:
        assert not Stop(None).wait(0.01)
        assert not Stop(threading.Event()).wait(0.01)


def test_an_observer_that_fails_is_dropped_and_the_rest_is_told(settings: Settings) -> None:
    """P11."""
    calls: list[Event] = []

    def observer(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("no")

    with running(settings, SOURCES, observer, None, types={}) as (run, _):
        run.emit(RunStarted(1, 1))
        run.emit(Warned("again"))
    assert calls == [RunStarted(1, 1)]


def test_health_is_kept_for_the_next_run(settings: Settings) -> None:
    with running(settings, SOURCES, None, None, types={}) as (run, _):
        run.note(run.sources[0], Unreachable("refused"), run.clock.now(), None)
        state = run.health["one.invalid"].state(run.clock.now())
        assert isinstance(state, Cooling)
        assert state.failures == 1
    with running(settings, SOURCES, None, None, types={}) as (run, _):
        state = run.health["one.invalid"].state(run.clock.now())
        assert isinstance(state, Cooling)
        assert (state.failures, state.reason) == (0, "refused")
        assert "two.invalid" not in run.health


def test_nobody_waits_for_a_database_that_is_stuck(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11. And what is kept last is what was known last."""
    saving, go_on = threading.Event(), threading.Event()
    saved: list[int] = []

    def save(_self: object, _source: str, health: Health) -> None:
        saving.set()
        assert go_on.wait(10)
        saved.append(health.failures)

    monkeypatch.setattr("fallback.state.health.KnownHealth.save", save)
    with running(settings, SOURCES, None, None, types={}) as (run, _):
        run.note(run.sources[0], Unreachable("refused"), run.clock.now(), None)
        assert saving.wait(10)
        run.note(run.sources[0], Unreachable("refused"), run.clock.now(), None)
        run.network().transport  # noqa: B018 - made as for a request
        assert saved == [], "one of these waited"
        go_on.set()
    assert saved == [1, 2]


def test_a_state_database_that_cannot_be_is_said_once(tmp_path: Path) -> None:
    """P11: everything goes on without."""
    (tmp_path / "state").write_text("a file in its place")
    told: list[Event] = []
    settings = Settings(models_dir=tmp_path / "models", state_dir=tmp_path / "state")
    with running(settings, SOURCES, told.append, None, types={}) as (run, _):
        for _number in range(3):
            run.note(run.sources[0], Unreachable("refused"), run.clock.now(), None)
        assert run.health["one.invalid"].state(run.clock.now()) != Up()
    assert [type(event) for event in told] == [Warned]


def test_offline_has_no_sources(tmp_path: Path) -> None:
    with running(Settings(models_dir=tmp_path, offline=True), SOURCES, None, None, types={}) as (run, _):
        assert run.sources == ()


def test_over(tmp_path: Path) -> None:
    with running(Settings(models_dir=tmp_path, deadline_s=1000), SOURCES, None, None, types={}) as (run, _):
        left = run.left_s()
        assert left is not None
        assert 900 < left <= 1000
        assert not run.over()
        run.check()
        run.deadline = run.clock.now() - 5
        assert (run.left_s(), run.over()) == (0.0, True)
        run.check()  # a deadline is the plan's to say
        run.stop.set()
        with pytest.raises(StoppedError):
            run.check()
