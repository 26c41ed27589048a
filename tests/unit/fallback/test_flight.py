"""Single flight: one call does the work, its outcome reaches all, and nothing of a failure stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fallback.errors import BusyError, StoppedError, StorageError, UnavailableError
from fallback.events import CacheHit, Progressed, RunStarted
from fallback.flight import Flights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from fallback.events import Event, Observer

STARTED, HIT = RunStarted(2, 20), CacheHit("m", "a", 10)
PROGRESS = Progressed("m", "b", "ipfs", "one", 1, 5, 10, 1.0, 5.0)


class Work:
    """Work that takes until it is let go; counts how often it was done."""

    def __init__(self, outcome: Callable[[], Any] = lambda: "done") -> None:
        self.begun, self.go, self.count, self.outcome = threading.Event(), threading.Event(), 0, outcome

    def __call__(self, tell: Observer) -> Any:
        self.count += 1
        tell(STARTED)
        tell(HIT)
        tell(PROGRESS)
        self.begun.set()
        assert self.go.wait(10)
        tell(PROGRESS)
        return self.outcome()


class Calls:
    """Calls of `together` in threads, and what each hears."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.flights: Flights[Any] = Flights()
        self.pool = pool
        self.heard: list[list[Event]] = []

    def __call__(self, work: Callable[[Observer], Any], **options: Any) -> Future[Any]:
        heard: list[Event] = []
        self.heard.append(heard)
        given: dict[str, Any] = {"observer": heard.append, "patience_s": 10} | options
        return self.pool.submit(self.flights.together, given.pop("key", "key"), work, **given)

    def joined(self, count: int, flights: int = 1) -> None:
        """Wait until so many are on board, for the so-manieth time: they have heard how the files stand."""
        while sum(heard.count(HIT) >= flights for heard in self.heard) < count:
            threading.Event().wait(0.001)


@pytest.fixture(name="calls")
def _calls() -> Iterator[Calls]:
    with ThreadPoolExecutor(40) as pool:
        yield Calls(pool)


def test_thirty_calls_share_one_piece_of_work_and_its_outcome(calls: Calls) -> None:
    work = Work()
    answers = [calls(work)]
    work.begun.wait()
    answers += [calls(work) for _ in range(29)]
    calls.joined(30)
    work.go.set()
    assert [answer.result(10) for answer in answers] == ["done"] * 30
    assert work.count == 1


def test_every_observer_hears_how_the_files_stand_and_then_everything(calls: Calls) -> None:
    """Progress that is past is no news to one that joins."""
    work = Work()
    first = calls(work)
    work.begun.wait()
    second = calls(work)
    calls.joined(2)
    work.go.set()
    first.result(10), second.result(10)
    assert calls.heard == [[STARTED, HIT, PROGRESS, PROGRESS], [STARTED, HIT, PROGRESS]]


@pytest.mark.parametrize(
    "error",
    [UnavailableError("f", []), StorageError("/m", "full"), ZeroDivisionError(), TimeoutError("its own")],  # type: ignore[arg-type]
)
def test_an_error_reaches_all_and_does_not_stick(calls: Calls, error: Exception) -> None:
    def fails() -> Any:
        raise error

    work = Work(fails)
    answers = [calls(work)]
    work.begun.wait()
    answers.append(calls(work))
    calls.joined(2)
    work.go.set()
    assert [answer.exception(10) for answer in answers] == [error, error]
    assert calls(lambda _tell: "afresh").result(10) == "afresh"


def test_other_keys_share_nothing(calls: Calls) -> None:
    work = Work()
    first = calls(work)
    work.begun.wait()
    assert calls(lambda _tell: "other", key="other").result(10) == "other"
    work.go.set()
    assert first.result(10) == "done"


def test_one_waits_only_so_long_and_the_work_goes_on(calls: Calls) -> None:
    work = Work()
    first = calls(work)
    work.begun.wait()
    assert isinstance(calls(work, patience_s=0.01).exception(10), BusyError)
    work.go.set()
    assert first.result(10) == "done"


def test_one_that_is_stopped_leaves_and_the_work_goes_on(calls: Calls) -> None:
    work, stop = Work(), threading.Event()
    first = calls(work)
    work.begun.wait()
    second = calls(work, stop=stop)
    calls.joined(2)
    stop.set()
    assert isinstance(second.exception(10), StoppedError)
    assert not first.done()
    work.go.set()
    assert first.result(10) == "done"


@pytest.mark.parametrize("how", [StoppedError("stopped"), KeyboardInterrupt()])
def test_when_the_one_that_leads_is_stopped_another_leads_on(calls: Calls, how: BaseException) -> None:
    """Who did not ask to be stopped is not; of several, one leads and the others join it."""

    def stopped() -> Any:
        raise how

    first_work, second_work = Work(stopped), Work()
    first = calls(first_work)
    first_work.begun.wait()
    others = [calls(second_work) for _ in range(5)]
    calls.joined(6)
    first_work.go.set()
    assert isinstance(first.exception(10), type(how))
    calls.joined(5, flights=2)
    second_work.go.set()
    assert [other.result(10) for other in others] == ["done"] * 5
    assert second_work.count == 1


def test_a_failing_observer_costs_the_others_nothing(calls: Calls) -> None:
    def failing(_event: Event) -> None:
        raise RuntimeError("no")

    work = Work()
    first = calls(work, observer=failing)
    work.begun.wait()
    second = calls(work)
    calls.joined(1)
    work.go.set()
    assert (first.result(10), second.result(10)) == ("done", "done")
    assert PROGRESS in calls.heard[1]
