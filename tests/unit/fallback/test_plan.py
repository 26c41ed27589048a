"""The plan and the health it asks, driven by any outcomes in simulated time: nothing sleeps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.chance import Try
from fallback.health import BAN_S, Cooling, Health, Pause, Retired, Up, carried
from fallback.outcome import (
    Corrupt,
    Delivered,
    Interrupted,
    Malformed,
    NotHere,
    Outrun,
    PartDelivered,
    Refused,
    Spliced,
    Throttled,
    Unavailable,
    Unreachable,
)
from fallback.outcome import Retired as RetiredOutcome
from fallback.plan import GiveUp, Plan, Policy, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.outcome import (
        Outcome,
    )

SHA = "a" * 64
ATTEMPTS = {"a": 2, "b": 2, "c": 3}

failures = st.one_of(
    st.sampled_from(
        [
            NotHere("404"),
            Unreachable("refused"),
            Unreachable("certificate", lasting=True),
            Unavailable("500"),
            Unavailable("silent", timed_out=True),
            Throttled("429", None),
            RetiredOutcome("sunset"),
            Interrupted("cut"),
            Malformed("416"),
            Corrupt("bits", "b" * 64),
            Spliced("bits"),
            Refused("401"),
        ]
    ),
    st.builds(Throttled, st.just("429"), st.floats(0, 1e9)),
)


class World:
    """Follows a plan in simulated time; `answer` says what a source does."""

    def __init__(self, answer: Callable[[str], Outcome], policy: Policy | None = None) -> None:
        self.policy = policy or Policy(backoff_s=2, max_wait_s=60, jitter=lambda: 0.5)
        self.answer, self.health, self.now = answer, dict[str, Health](), 1000.0
        self.asked: list[tuple[str, float]] = []
        self.waits: list[float] = []

    def run(self, sources: dict[str, int] = ATTEMPTS) -> GiveUp | str:
        plan = Plan.of(sources, self.policy)
        while True:
            step = plan.next(self.now, self.health, SHA)
            if isinstance(step, GiveUp):
                return step
            if isinstance(step, Wait):
                assert self.now < step.until <= self.now + self.policy.max_wait_s
                self.waits.append(step.until - self.now)
                self.now = step.until
                continue
            began = self.now
            self.asked.append((step.source, began))
            outcome = self.answer(step.source)
            self.now += 0.01
            pause = Pause(self.policy.backoff_s, self.policy.max_wait_s, sources[step.source], 0.5)
            before = self.health.get(step.source, Health())
            self.health[step.source] = before.after(
                outcome, began=began, now=self.now, sha256=SHA, pause=pause
            )
            if isinstance(outcome, Delivered):
                return step.source
            plan = plan.after(step, outcome, self.now)


def scripted(outcomes: list[Outcome], *, good: str | None = None) -> Callable[[str], Outcome]:
    script: Iterator[Outcome] = iter(outcomes)

    def answer(source: str) -> Outcome:
        return Delivered("right") if source == good else next(script, NotHere("404"))

    return answer


@given(st.lists(failures, max_size=20), st.sampled_from(sorted(ATTEMPTS)))
def test_one_good_source_is_enough(outcomes: list[Outcome], good: str) -> None:
    """P5, whatever the others come to and wherever the good one stands."""
    assert World(scripted(outcomes, good=good)).run() == good


@given(st.lists(failures, max_size=40))
def test_requests_are_bounded_and_every_source_is_named(outcomes: list[Outcome]) -> None:
    """A source is asked at most as often as it has attempts, a splice and a last resort apart."""
    world = World(scripted(outcomes))
    end = world.run()
    assert isinstance(end, GiveUp)
    assert [source for source, _ in end.reasons] == list(ATTEMPTS)
    splices = sum(isinstance(outcome, Spliced) for outcome in outcomes)
    for source, count in Counter(source for source, _ in world.asked).items():
        assert count <= ATTEMPTS[source] + 1 + splices


@given(st.lists(failures, max_size=40), st.floats(0, 200))
def test_nothing_is_asked_or_waited_for_past_the_deadline(outcomes: list[Outcome], seconds: float) -> None:
    world = World(scripted(outcomes), Policy(2, 60, deadline=1000.0 + seconds, jitter=lambda: 0.5))
    world.run()
    assert all(moment < 1000.0 + seconds for _, moment in world.asked)
    assert world.now <= 1000.0 + seconds + 0.01


@given(st.floats(0, 1e9))
def test_retry_after_is_a_floor_capped_by_max_wait(seconds: float) -> None:
    world = World(scripted([Throttled("429", seconds)] * 9))
    world.run({"only": 2})
    first, second = (moment for _, moment in world.asked)
    assert min(seconds, 60) <= second - first + 1e-6


def test_sources_are_asked_in_order_and_a_failing_one_goes_to_the_back() -> None:
    world = World(scripted([Unavailable("500")] * 9))
    world.run()
    assert [source for source, _ in world.asked][:4] == ["a", "b", "c", "a"]


def test_interrupted_after_progress_keeps_its_place_and_its_attempt() -> None:
    world = World(scripted([Interrupted("cut", gained=1 << 20)] * 5))
    world.run({"a": 1, "b": 1})
    assert [source for source, _ in world.asked] == ["a"] * 6 + ["b"]


def test_stalled_goes_to_the_back_even_after_progress() -> None:
    world = World(scripted([Interrupted("slow", gained=1 << 20, stalled=True)]))
    world.run({"a": 1, "b": 1})
    assert [source for source, _ in world.asked][:2] == ["a", "b"]


def test_malformed_is_asked_once_more_from_zero() -> None:
    plan = Plan.of({"a": 3}, Policy(0, 60))
    step = plan.next(0, {})
    assert isinstance(step, Try)
    plan = plan.after(step, Malformed("416"), 0)
    again = plan.next(0, {})
    assert again == Try("a", 2, from_zero=True)
    assert isinstance(plan.after(again, Malformed("416"), 0).next(0, {}), GiveUp)


def test_corrupt_is_asked_again_only_as_the_last_one_left_and_once() -> None:
    world = World(scripted([Corrupt("bits")] * 9))
    world.run({"a": 3})
    assert len(world.asked) == 2
    both = World(scripted([Corrupt("bits")] * 9))
    both.run({"a": 3, "b": 3})
    assert [source for source, _ in both.asked] == ["a", "b"]


def test_a_source_banned_in_an_earlier_run_may_have_been_mended() -> None:
    """It is the last resort, and wrong bytes cannot get past the proof."""
    world = World(lambda source: Delivered("right") if source == "b" else NotHere("404"))
    world.health = {"b": Health(bans={SHA: 2000.0})}
    assert world.run() == "b"
    assert [source for source, _ in world.asked] == ["a", "c", "b"]


def test_of_several_that_are_banned_the_first_is_asked_first() -> None:
    world = World(lambda source: Delivered("right") if source == "c" else NotHere("404"))
    world.health = {source: Health(bans={SHA: 2000.0}) for source in ATTEMPTS}
    assert world.run() == "c"
    assert [source for source, _ in world.asked] == ["a", "b", "c"]


def test_retired_is_never_asked_again() -> None:
    world = World(scripted([]))
    world.health = {"a": Health(retired=True, reason="sunset")}
    end = world.run()
    assert "a" not in [source for source, _ in world.asked]
    assert isinstance(end, GiveUp)
    assert dict(end.reasons)["a"] == "not asked: sunset"


def test_a_dead_network_ends_a_long_run_in_a_few_pauses() -> None:
    """1000 files share what is known: not `max_wait_s` a file, not even one request a file."""
    world = World(lambda _: Unreachable("no network"))
    for _ in range(1000):
        world.run()
    assert len(world.asked) <= 2 * sum(ATTEMPTS.values())
    assert sum(world.waits) < 60


def test_a_source_that_failed_as_often_as_it_has_attempts_is_asked_last() -> None:
    """Also once its pause is over: else every file of a long run would ask a dead gateway first."""
    world = World(lambda source: Delivered("right") if source == "c" else Unreachable("refused"))
    for _ in range(50):
        assert world.run() == "c"
        world.now += 1000
    assert Counter(source for source, _ in world.asked) == {"a": 2, "b": 2, "c": 50}


def test_a_guess_of_an_earlier_run_only_puts_a_source_behind() -> None:
    old = Health(failures=3, streak=9, cooling_until=1500.0, reason="refused")
    world = World(lambda _: Delivered("right"))
    world.health = {"a": carried(old, 1000.0)}
    assert world.run() == "b"
    world = World(lambda source: Delivered("right") if source == "a" else NotHere("404"))
    world.health = {"a": carried(old, 1000.0)}
    assert world.run() == "a"
    assert not world.waits


def test_a_pause_the_server_asked_for_binds_the_next_run_too() -> None:
    asked = Health().after(Throttled("429", 30), began=990, now=1000, sha256=SHA, pause=Pause(2, 60, 2))
    world = World(lambda _: Delivered("right"))
    world.health = {"a": carried(asked, 1000.0)}
    assert world.run({"a": 1}) == "a"
    assert sum(world.waits) >= 30


# --- health ------------------------------------------------------------------------------------

PAUSE = Pause(backoff_s=2, max_wait_s=60, attempts=2)


def after(health: Health, outcome: Outcome, began: float, now: float) -> Health:
    return health.after(outcome, began=began, now=now, sha256=SHA, pause=PAUSE)


def test_failures_that_overlap_count_once() -> None:
    """Four workers that meet a dead gateway in one second are one failure."""
    health = Health()
    for _ in range(4):
        health = after(health, Unreachable("refused"), began=10, now=11)
    assert health.failures == 1
    assert health.state(11) == Cooling(13, 1, firm=False, reason="refused")


def test_pauses_double_and_success_ends_them() -> None:
    health, now, pauses = Health(), 0.0, []
    for _ in range(4):
        health = after(health, Unreachable("refused"), began=now, now=now + 1)
        pauses.append(health.cooling_until - now - 1)
        now = health.cooling_until
    assert pauses == [2, 4, 8, 16]
    assert after(health, Delivered("right"), now, now + 1).state(now + 1) == Up()


def test_silence_cools_at_once_and_an_error_only_after_as_many_as_attempts() -> None:
    assert isinstance(after(Health(), Unavailable("silent", timed_out=True), 0, 1).state(1), Cooling)
    once = after(Health(), Unavailable("500"), 0, 1)
    assert once.state(1) == Up()
    assert isinstance(after(once, Unavailable("500"), 2, 3).state(3), Cooling)


def test_a_ban_is_for_one_sha256_and_a_day() -> None:
    health = after(Health(), Corrupt("bits"), 0, 10)
    assert health.state(10, "c" * 64) == Up()
    assert health.state(10 + BAN_S - 1, SHA) != Up()
    assert health.state(10 + BAN_S + 1, SHA) == Up()


def test_retired_stays() -> None:
    assert carried(after(Health(), RetiredOutcome("sunset"), 0, 1), 1e9).state(1e9) == Retired("sunset")


def test_what_another_clock_wrote_down_is_dropped() -> None:
    future = Health(cooling_until=1e12, bans={SHA: 1e12})
    assert carried(future, 1000.0).state(1000.0, SHA) == Up()


@given(st.lists(failures, max_size=10))
def test_whatever_happens_health_stays_sane(outcomes: list[Outcome]) -> None:
    health, now = Health(), 0.0
    for outcome in outcomes:
        health = after(health, outcome, now, now + 1)
        now += 1
        assert health.failures <= len(outcomes)
        assert health.cooling_until <= now + 3600


def steps(plan: Plan, now: float, health: dict[str, Health]) -> Try | Wait | GiveUp:
    return plan.next(now, health, SHA)


def test_a_last_resort_is_asked_once_and_not_before_its_time() -> None:
    """It is known to lie: once is enough, and a pause that it asked for holds for it as for others."""
    plan = Plan.of({"a": 3}, Policy(2, 60, jitter=lambda: 0.0))
    health = {"a": Health(bans={SHA: 1e9}, cooling_until=1030.0, firm=True)}
    assert steps(plan, 1000.0, health) == Wait("a", 1030.0, "not asked")
    step = steps(plan, 1030.0, health)
    assert step == Try("a", 1, from_zero=True, last_resort=True)
    assert isinstance(step, Try)
    assert isinstance(steps(plan.after(step, Throttled("429", 5), 1031.0), 1040.0, health), GiveUp)
    long = {"a": Health(bans={SHA: 1e9}, cooling_until=2000.0, firm=True)}
    assert isinstance(steps(plan, 1000.0, long), GiveUp)


def test_what_is_malformed_is_asked_for_once_more_from_zero_whatever_it_had_left() -> None:
    """A cut under a MiB cost the one attempt, a bad 206 the other: its plain 200 may be right."""
    plan = Plan.of({"a": 2}, Policy(2, 60, jitter=lambda: 0.0))
    first = steps(plan, 1000.0, {})
    assert isinstance(first, Try)
    plan = plan.after(first, Interrupted("cut", gained=500_000), 1000.0)
    second = steps(plan, 1010.0, {})
    assert isinstance(second, Try)
    plan = plan.after(second, Malformed("206 from a wrong place"), 1010.0)
    third = steps(plan, 1020.0, {})
    assert third == Try("a", 3, from_zero=True)
    assert isinstance(third, Try)
    assert isinstance(steps(plan.after(third, Malformed("again"), 1020.0), 1030.0, {}), GiveUp)


def test_a_guess_keeps_its_own_pause_too() -> None:
    """A source that failed often in this run, and was cut a moment ago."""
    plan = Plan.of({"a": 2}, Policy(2, 60, jitter=lambda: 0.0))
    health = {"a": Health(failures=2)}
    step = steps(plan, 1000.0, health)
    assert isinstance(step, Try)
    after = plan.after(step, Interrupted("cut", gained=1), 1000.0)
    assert steps(after, 1000.0, health) == Wait("a", 1002.0, "cut")
    assert isinstance(steps(after, 1002.0, health), Try)


def test_a_wrong_chunk_costs_no_attempt_if_others_came_right() -> None:
    """There are only so many chunks to be wrong about, and the one source there is may have most of them."""
    plan = Plan.of({"a": 1}, Policy(0, 60))
    for attempt in range(1, 9):
        step = steps(plan, 1000.0, {})
        assert isinstance(step, Try)
        assert (step.attempt, step.from_zero) == (attempt, False)
        plan = plan.after(step, Corrupt("bits", mendable=True, gained=1 << 20), 1000.0)
    stuck = steps(plan, 1000.0, {})
    assert isinstance(stuck, Try)
    plan = plan.after(stuck, Corrupt("bits", mendable=True), 1000.0)
    last = steps(plan, 1000.0, {})
    assert last == Try("a", 10, from_zero=True, last_resort=True)
    assert isinstance(last, Try)
    assert isinstance(steps(plan.after(last, Corrupt("bits", mendable=True), 1000.0), 1000.0, {}), GiveUp)


def test_who_is_accused_later_is_asked_last_and_for_the_chunk_alone() -> None:
    """It was asked, and went on to another file; what it sent was found wrong when somebody else had finished."""
    plan = Plan.of({"a": 2, "b": 2}, Policy(0, 60))
    first = steps(plan, 1000.0, {})
    assert isinstance(first, Try)
    plan = plan.after(first, Interrupted("cut"), 1000.0)
    banned = {"a": Health(bans={SHA: 1e9})}
    second = steps(plan, 1000.0, banned)
    assert isinstance(second, Try)
    assert second.source == "b"
    plan = plan.after(second, Spliced("bits", others=("a",), mendable=True), 1000.0)
    third = steps(plan, 1000.0, banned)
    assert third == Try("b", 2)
    assert isinstance(third, Try)
    plan = plan.after(third, NotHere("404"), 1000.0)
    last = steps(plan, 1000.0, banned)
    assert last == Try("a", 2, last_resort=True)
    assert isinstance(last, Try)
    end = steps(plan.after(last, NotHere("404"), 1000.0), 1000.0, banned)
    assert end == GiveUp((("a", "404"), ("b", "404")))


def test_bytes_of_several_that_are_not_the_file_cost_nobody_the_last_attempt() -> None:
    """It may be the one that was right; it is asked from zero, and then there is one to blame."""
    plan = Plan.of({"a": 1}, Policy(0, 60))
    first = steps(plan, 1000.0, {})
    assert isinstance(first, Try)
    assert steps(plan.after(first, Spliced("bits"), 1000.0), 1000.0, {}) == Try("a", 2, from_zero=True)


def test_one_bad_file_is_not_held_against_the_others() -> None:
    """P5: what breaks off on one file, as often as it has attempts, has the other files still."""
    health = Health()
    for now in (10.0, 20.0):
        health = health.after(Interrupted("cut"), began=now, now=now, sha256="bad", pause=PAUSE)
    other = Plan.of({"a": 2}, Policy(2, 60)).next(20.5, {"a": health}, "good")
    assert isinstance(other, Wait)
    assert other.source == "a"
    assert isinstance(Plan.of({"a": 2}, Policy(2, 60)).next(20.5, {"a": health}, "bad"), GiveUp)
    health = health.after(Interrupted("cut"), began=30.0, now=30.0, sha256="worse", pause=PAUSE)
    assert isinstance(Plan.of({"a": 2}, Policy(2, 60)).next(30.5, {"a": health}, "good"), GiveUp)


class TestBeside:
    """Whom to ask beside one that has not begun to deliver in time."""

    POLICY = Policy(backoff_s=2, max_wait_s=60, jitter=lambda: 0.5)

    def plan(self, **sources: int) -> Plan:
        return Plan.of(sources or ATTEMPTS, self.POLICY)

    def test_the_next_in_order_that_is_not_being_asked(self) -> None:
        plan = self.plan()
        assert plan.beside([Try("a", 1)], 0.0, {}) == Try("b", 1)
        assert plan.beside([Try("b", 1)], 0.0, {}) == Try("a", 1)
        assert plan.beside([Try("a", 1), Try("b", 1)], 0.0, {}) == Try("c", 1)

    def test_nobody_beside_the_last_one(self) -> None:
        assert self.plan(a=2).beside([Try("a", 1)], 0.0, {}) is None

    def test_nobody_is_waited_for(self) -> None:
        """A source that is cooling may be asked when this one has failed, and not before its time."""
        cooling = Health(cooling_until=50.0, failures=1, reason="503")
        assert self.plan(a=2, b=2).beside([Try("a", 1)], 0.0, {"b": cooling}) is None
        assert self.plan(a=2, b=2).beside([Try("a", 1)], 50.0, {"b": cooling}) == Try("b", 1)

    def test_one_that_was_silent_is_no_help(self) -> None:
        """It would push out one that is slow to begin, which may be the only good one (P5)."""
        silent = Health(silent=True)
        assert self.plan(a=2, b=2).beside([Try("a", 1)], 0.0, {"b": silent}) is None
        assert self.plan(a=2, b=2, c=2).beside([Try("a", 1)], 0.0, {"b": silent}) == Try("c", 1)

    def test_one_that_sent_wrong_bytes_is_no_help(self) -> None:
        """A last resort is for when nobody is left, and somebody is."""
        banned = Health(bans={SHA: 1e9})
        assert self.plan(a=2, b=2).beside([Try("a", 1)], 0.0, {"b": banned}, SHA) is None

    def test_nothing_begins_past_the_deadline(self) -> None:
        plan = Plan.of(ATTEMPTS, Policy(2, 60, deadline=10.0))
        assert plan.beside([Try("a", 1)], 9.0, {}) == Try("b", 1)
        assert plan.beside([Try("a", 1)], 10.0, {}) is None

    def test_who_was_outrun_has_lost_nothing(self) -> None:
        plan = self.plan(a=1, b=1).after(Try("b", 1), Outrun("a began first"), 0.0)
        assert plan.beside([Try("a", 1)], 0.0, {}) == Try("b", 2)

    @pytest.mark.parametrize("came_to", [Outrun("a began first"), PartDelivered("its part came")])
    def test_who_was_outrun_or_helped_keeps_its_place(self, came_to: Outcome) -> None:
        plan = self.plan().after(Try("c", 1), came_to, 0.0)
        assert [chance.source for chance in plan.queue] == ["a", "b", "c"]

    def test_who_was_outrun_pauses_no_longer_for_it(self) -> None:
        plan = self.plan(a=2)
        for attempt in range(1, 5):
            plan = plan.after(Try("a", attempt), Outrun("another began first"), 0.0)
        step = plan.after(Try("a", 5), Unavailable("503"), 0.0).next(0.0, {})
        assert isinstance(step, Wait)
        assert step.until == self.POLICY.backoff_s * 1.25

    def test_who_was_outrun_from_zero_is_asked_from_zero(self) -> None:
        plan = self.plan(a=2).after(Try("a", 1), Malformed("416"), 0.0)
        plan = plan.after(Try("a", 2, from_zero=True), Outrun("another began first"), 0.0)
        assert plan.next(0.0, {}) == Try("a", 3, from_zero=True)


def test_who_was_silent_is_behind_the_others_for_the_rest_of_the_run() -> None:
    """So it delays one file, once: also when its pause is over, until it delivers again."""
    silent = after(Health(), Unavailable("silent", timed_out=True), 0.0, 3.0)
    later = silent.cooling_until + 1
    plan = Plan.of({"a": 2, "b": 2}, TestBeside.POLICY)
    assert steps(plan, later, {"a": silent}) == Try("b", 1)
    assert steps(Plan.of({"a": 2}, TestBeside.POLICY), later, {"a": silent}) == Try("a", 1)
    assert steps(plan, later, {"a": after(silent, Delivered(""), later, later + 1)}) == Try("a", 1)
    assert steps(plan, later, {"a": carried(silent, later)}) == Try("a", 1), "the next run asks it again"
