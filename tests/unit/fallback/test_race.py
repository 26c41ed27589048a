"""The race alone: whoever asks is a function that ends when the test says so."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fallback.chance import Try
from fallback.errors import StoppedError
from fallback.exchange import Request
from fallback.outcome import Failed, NotHere, Outrun, Unavailable
from fallback.race import Begun, Leg, Race

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fallback.outcome import Outcome
    from fallback.sources import Source

NEVER_S, AT_ONCE_S = 60.0, 0.0


@dataclass
class Asked:
    """One source: it comes to `what` once `may` is set, or when it is shut."""

    what: BaseException | None = None
    may: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Track:
    """Sources by name, in the order of a plan, and what the race told of them."""

    sources: dict[str, Asked]
    order: list[str]
    told: list[tuple[str, Outcome]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    legs: dict[str, Leg] = field(default_factory=dict)

    def ask(self, leg: Leg) -> Begun:
        source = self.sources[leg.source.name]
        while not source.may.wait(0.002):
            if leg.is_shut:
                raise Failed(Unavailable("stopped"))
        if source.what is not None:
            raise source.what
        return Begun(cast("Any", source), 0, 0.0)

    def entered(self, source: Source, step: Try) -> Leg:
        self.begun.append(source.name)
        self.legs[source.name] = Leg(source, step, Request("http://a.invalid/"), 0.0, alone=False)
        return self.legs[source.name]

    def beside(self, _steps: Sequence[Try]) -> tuple[Source, Try] | None:
        left = [name for name in self.order if name not in self.begun]
        return (named(left[0]), Try(left[0], 1)) if left else None

    def run(self, race: Race) -> tuple[str, Begun | Outcome]:
        first = self.order[0]
        leg, came = race.winner(
            named(first),
            Try(first, 1),
            entered=self.entered,
            beside=self.beside,
            lost=lambda leg, outcome: self.told.append((leg.source.name, outcome)),
        )
        return leg.source.name, came


def named(name: str) -> Source:
    return cast("Source", SimpleNamespace(name=name, layer="ipfs"))


@pytest.fixture(name="pool")
def _pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def track(**whats: BaseException | None) -> Track:
    return Track({name: Asked(what) for name, what in whats.items()}, list(whats))


def test_one_that_begins_in_time_is_alone(pool: ThreadPoolExecutor) -> None:
    told = track(a=None, b=None)
    told.sources["a"].may.set()
    with Race(pool, told.ask, NEVER_S) as race:
        name, came = told.run(race)
    assert (name, told.begun, told.told) == ("a", ["a"], [])
    assert isinstance(came, Begun)
    assert not told.sources["a"].closed, "the winner's answer is the caller's"


def test_one_that_fails_in_time_is_the_plan_s_to_follow(pool: ThreadPoolExecutor) -> None:
    """Nobody is asked beside one whose answer is known."""
    told = track(a=Failed(NotHere("404")), b=None)
    told.sources["a"].may.set()
    with Race(pool, told.ask, NEVER_S) as race:
        assert told.run(race) == ("a", NotHere("404"))
    assert (told.begun, told.told) == (["a"], [])


def test_of_two_that_have_begun_the_first_asked_wins(pool: ThreadPoolExecutor) -> None:
    """And the other's answer is closed: no connection is left."""
    told = track(a=None, b=None)

    def entered(source: Source, step: Try) -> Leg:
        if source.name == "b":
            for each in told.sources.values():
                each.may.set()
        return Track.entered(told, source, step)

    told.entered = entered  # type: ignore[method-assign]
    with Race(pool, told.ask, 0.05) as race:
        name, _ = told.run(race)
        # Both may have begun before it was looked, or one after the other: what was asked first is preferred.
        assert name in {"a", "b"}
    loser = "b" if name == "a" else "a"
    assert [lost for lost, _ in told.told] == [loser]
    assert told.legs[loser].is_shut
    assert told.sources[loser].closed
    assert not told.sources[name].closed


def test_who_was_not_given_its_time_is_blamed_for_nothing(pool: ThreadPoolExecutor) -> None:
    told = track(a=None, b=None)

    def entered(source: Source, step: Try) -> Leg:
        if source.name == "b":
            told.sources["a"].may.set()
        return Track.entered(told, source, step)

    told.entered = entered  # type: ignore[method-assign]
    with Race(pool, told.ask, 0.2) as race:
        assert told.run(race)[0] == "a"
    ((name, outcome),) = told.told
    assert name == "b"
    assert isinstance(outcome, Outrun)


def test_who_had_its_time_and_has_just_begun_is_blamed_for_nothing() -> None:
    """It began while the other one's beginning was looked at: it was not silent."""
    late: Future[Begun] = Future()
    begun = Begun(cast("Any", Asked()), 0, 0.0)

    class First(Future[Begun]):
        def result(self, timeout: float | None = None) -> Begun:
            if not late.done():
                late.set_result(begun)
            return super().result(timeout)

    first = First()
    futures: list[Future[Begun]] = [late, first]
    told = track(a=None, b=None)
    first.set_result(begun)
    pool = cast("ThreadPoolExecutor", SimpleNamespace(submit=lambda *_: futures.pop(0)))
    with Race(pool, told.ask, AT_ONCE_S) as race:
        assert told.run(race)[0] == "b"
    assert told.told == [("a", Outrun("another's body began first"))]


def test_two_at_a_time_and_the_longest_waited_for_is_given_up(pool: ThreadPoolExecutor) -> None:
    told = track(a=None, b=None, c=None, d=None)
    told.sources["d"].may.set()
    with Race(pool, told.ask, 0.02) as race:
        assert told.run(race)[0] == "d"
    assert told.begun == ["a", "b", "c", "d"]
    assert [name for name, _ in told.told[:2]] == ["a", "b"]
    assert all(isinstance(outcome, Unavailable) and outcome.timed_out for _, outcome in told.told[:2])
    assert told.told[2][0] == "c"
    assert all(told.legs[name].is_shut for name in "abc")


def test_when_one_fails_the_next_is_asked_at_once(pool: ThreadPoolExecutor) -> None:
    """The one that is left has had its time: there is nothing to wait for."""
    told = track(a=None, b=Failed(NotHere("404")), c=None)
    told.sources["b"].may.set()
    told.sources["c"].may.set()
    with Race(pool, told.ask, 0.05) as race:
        assert told.run(race)[0] == "c"
    assert told.told[0] == ("b", NotHere("404"))
    assert told.legs["c"].since - told.legs["b"].since < 0.05


def test_when_all_fail_the_last_one_s_reason_is_the_answer(pool: ThreadPoolExecutor) -> None:
    told = track(a=Failed(Unavailable("503")), b=Failed(NotHere("404")))

    def entered(source: Source, step: Try) -> Leg:
        told.sources["b"].may.set()
        return Track.entered(told, source, step)

    told.entered = entered  # type: ignore[method-assign]
    threading.Timer(0.2, told.sources["a"].may.set).start()
    with Race(pool, told.ask, 0.02) as race:
        assert told.run(race) == ("a", Unavailable("503"))
    assert told.told == [("b", NotHere("404"))]


def test_what_ends_the_run_ends_the_race(pool: ThreadPoolExecutor) -> None:
    """And whoever was being asked is shut, and has ended when it is over."""
    told = track(a=None, b=StoppedError("stopped"))
    told.sources["b"].may.set()
    with pytest.raises(StoppedError), Race(pool, told.ask, 0.02) as race:
        told.run(race)
    assert told.legs["a"].is_shut


def test_nobody_to_ask_beside_it_is_asked_for_again_later(pool: ThreadPoolExecutor) -> None:
    """A pause of another source may have passed by then."""
    told = track(a=None, b=None)
    told.sources["b"].may.set()
    asked: list[int] = []
    beside = told.beside

    def late(_steps: Sequence[Try]) -> tuple[Source, Try] | None:
        asked.append(len(_steps))
        return beside(_steps) if len(asked) == 3 else None

    told.beside = late  # type: ignore[method-assign]
    with Race(pool, told.ask, 0.02) as race:
        assert told.run(race)[0] == "b"
    assert asked[:3] == [1, 1, 1]
