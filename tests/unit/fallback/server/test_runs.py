"""Runs without a network: what they are told, and when; how many there are; how they end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from fallback.errors import StoppedError, StorageError, UnknownModelError
from fallback.events import RunEnded, RunStarted
from fallback.manifest import File, Manifest, Model
from fallback.results import Summary
from fallback.server import runs as module
from fallback.server.feed import Feed
from fallback.server.runs import AT_ONCE, REMEMBERED, Runs, TooManyRunsError
from fallback.settings import Settings
from tests.flow.told import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.server.runs import SyncRun

MANIFEST = Manifest(tuple(Model(f"m{n}", "other", f"m{n}", (File("f", 1, "0" * 64),)) for n in range(9)))
FINE = Summary((), (), 1.0)


class Sync:
    """Stands for `engine.sync`: tells of a whole run, and returns when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.outcome: Callable[[], Summary] = lambda: FINE

    def __call__(self, *, observer: Any, stop: threading.Event, **_: Any) -> Summary:
        observer(RunStarted(1, 1))
        observer(RunEnded(1, 0, 1, 1.0))
        self.begun.set()
        while not self.go.wait(0.005):
            if stop.is_set():
                raise StoppedError("stopped")
        return self.outcome()


@pytest.fixture(name="sync")
def _sync(monkeypatch: pytest.MonkeyPatch) -> Sync:
    sync = Sync()
    monkeypatch.setattr(module, "sync", sync)
    monkeypatch.setattr(module, "load_manifest", lambda _settings: MANIFEST)
    return sync


@pytest.fixture(name="runs")
def _runs(sync: Sync, tmp_path: Path) -> Runs:
    loop = asyncio.new_event_loop()
    loop.close()  # nobody watches, which is no mistake
    return Runs(Settings(models_dir=tmp_path), Feed(loop, limit=1), lambda _event: None)


def over(run: SyncRun) -> SyncRun:
    until(lambda: run.told.is_done)
    return run


def test_the_end_is_told_when_the_next_call_would_begin_anew(runs: Runs, sync: Sync) -> None:
    """Who sees the end and asks again must not join what is over."""
    run, _ = runs.start("sync")
    sync.begun.wait()
    assert runs.start("sync") == (run, True)
    assert not run.told.is_done, "it still is to be joined"
    sync.go.set()
    assert over(run).status == "completed"
    again, joined = runs.start("sync")
    assert (again is not run, joined) == (True, False)
    over(again)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (StorageError("/m", "disk full", FINE), "error", "/m: disk full"),  # type: ignore[arg-type]
        (StoppedError("stopped"), "paused", None),
        (ZeroDivisionError("detail"), "error", "a mistake of this program: ZeroDivisionError"),
    ],
)
def test_how_a_run_ends(
    runs: Runs,
    sync: Sync,
    error: Exception,
    status: str,
    said: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> Summary:
        raise error

    sync.outcome = fails
    sync.go.set()
    run = over(runs.start("sync")[0])
    told = run.in_full()
    assert (told["status"], told["error"]) == (status, said)
    assert (told["progress"]["done"], told["progress"].get("error")) == (True, said)
    assert ("Traceback" in capsys.readouterr().err) == isinstance(error, ZeroDivisionError)


def test_so_many_at_once_and_no_more(runs: Runs, sync: Sync) -> None:
    begun = [runs.start("sync", [f"m{number}"])[0] for number in range(AT_ONCE)]
    with pytest.raises(TooManyRunsError):
        runs.start("sync", ["m8"])
    assert runs.start("sync", ["m0"]) == (begun[0], True)
    sync.go.set()
    for run in begun:
        over(run)
    over(runs.start("sync", ["m8"])[0])


def test_so_many_are_remembered_and_no_more(runs: Runs, sync: Sync) -> None:
    sync.go.set()
    ids = [over(runs.start("sync")[0]).id for _ in range(REMEMBERED + 5)]
    assert [run.id for run in runs.all()] == ids[-REMEMBERED:]
    assert runs.get(ids[0]) is None


def test_when_the_server_stops_runs_do_and_none_begins(runs: Runs, sync: Sync) -> None:
    run, _ = runs.start("sync")
    assert runs.close(5)
    assert (run.status, run.told.is_done) == ("paused", True)
    with pytest.raises(StoppedError):
        runs.start("sync")


def test_one_that_was_cancelled_is_joined_no_more(runs: Runs, sync: Sync) -> None:
    run, _ = runs.start("sync")
    run.stop.set()
    again, joined = runs.start("sync")
    assert (again is not run, joined) == (True, False)
    sync.go.set()
    over(run), over(again)


def test_a_model_that_is_none_begins_nothing(runs: Runs) -> None:
    with pytest.raises(UnknownModelError):
        runs.start("sync", ["nobody's"])
    assert runs.all() == []
