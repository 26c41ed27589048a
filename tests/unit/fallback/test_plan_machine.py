"""Plans of several files over one shared health, in any interleaving of attempts, outcomes, pauses and runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fallback.chance import REFUND_BYTES, Try
from fallback.health import Health, Pause, carried
from fallback.outcome import (
    Corrupt,
    Delivered,
    Interrupted,
    Malformed,
    NotHere,
    Outrun,
    Refused,
    Spliced,
    Throttled,
    Unavailable,
    Unreachable,
)
from fallback.outcome import Retired as RetiredOutcome
from fallback.plan import GiveUp, Plan, Policy, Wait

if TYPE_CHECKING:
    from fallback.outcome import (
        Outcome,
    )

ATTEMPTS = {"a": 2, "b": 1, "c": 3}
MAX_WAIT_S = 60.0

OUTCOMES = st.one_of(
    st.sampled_from(
        [
            NotHere("404"),
            Unreachable("refused"),
            Unreachable("certificate", lasting=True),
            Unavailable("500"),
            Unavailable("silent", timed_out=True),
            Throttled("429", None),
            RetiredOutcome("sunset"),
            Malformed("416"),
            Corrupt("bits", "b" * 64),
            Spliced("bits"),
            Refused("401"),
        ]
    ),
    st.builds(Throttled, st.just("429"), st.floats(0, 1e9)),
    st.builds(
        Interrupted, st.just("cut"), st.sampled_from([0, 1, REFUND_BYTES, 10 * REFUND_BYTES]), st.booleans()
    ),
)
FINAL = (NotHere, RetiredOutcome, Refused)


@dataclass
class File:
    """One file's plan, and what this test knows of its attempts."""

    sha256: str
    plan: Plan
    asked: Counter[str] = field(default_factory=Counter)
    refunds: Counter[str] = field(default_factory=Counter)
    over: set[str] = field(default_factory=set)
    from_zero: set[str] = field(default_factory=set)
    floor: dict[str, float] = field(default_factory=dict)
    trying: tuple[Try, float] | None = None


class Plans(RuleBasedStateMachine):
    """Each rule is a thing that can happen next; the invariants are DESIGN's rules, kept in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.deadline: float | None = None
        self.health: dict[str, Health] = {}
        self.files: list[File] = []
        self.retired: set[str] = set()

    @rule(seconds=st.floats(0.001, 200))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.files)
    @rule(seconds=st.floats(1, 500))
    def there_is_a_deadline(self, seconds: float) -> None:
        self.deadline = self.now + seconds

    @precondition(lambda self: len(self.files) < 4)
    @rule(number=st.integers(0, 1))
    def a_file_begins(self, number: int) -> None:
        policy = Policy(2, MAX_WAIT_S, self.deadline, jitter=lambda: 0.5)
        self.files.append(File(f"{number}" * 64, Plan.of(ATTEMPTS, policy)))

    @precondition(lambda self: any(file.trying is None for file in self.files))
    @rule(data=st.data())
    def a_worker_asks_for_the_next_step(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from([file for file in self.files if file.trying is None]))
        step = file.plan.next(self.now, self.health, file.sha256)
        assert step == file.plan.next(self.now, self.health, file.sha256), "asking changes nothing"
        if isinstance(step, Try):
            self.check_try(file, step)
            file.trying = (step, self.now)
        elif isinstance(step, Wait):
            assert self.now < step.until <= self.now + MAX_WAIT_S
            assert self.deadline is None or step.until < self.deadline
        else:
            assert [source for source, _ in step.reasons] == list(ATTEMPTS)
            assert all(reason for _, reason in step.reasons)

    def check_try(self, file: File, step: Try) -> None:
        source = step.source
        assert self.deadline is None or self.now < self.deadline
        assert source not in file.over | self.retired
        assert self.now >= file.floor.get(source, 0.0), "Retry-After is a floor"
        # One more for a last resort, one for bytes of several that were not the file.
        assert file.asked[source] < ATTEMPTS[source] + file.refunds[source] + 2
        assert step.attempt == file.asked[source] + 1
        assert step.from_zero or source not in file.from_zero

    @precondition(lambda self: any(file.trying for file in self.files))
    @rule(data=st.data(), outcome=st.one_of(OUTCOMES, st.just(Outrun("began later"))))
    def another_is_asked_beside_it_and_loses(self, data: st.DataObject, outcome: Outcome) -> None:
        """Whoever it is keeps to all rules of a step; the one it was asked beside is not disturbed."""
        file = data.draw(st.sampled_from([file for file in self.files if file.trying]))
        assert file.trying is not None
        beside = file.plan.beside([file.trying[0]], self.now, self.health, file.sha256)
        if beside is None:
            return
        assert beside.source != file.trying[0].source
        assert not beside.last_resort
        self.check_try(file, beside)
        self.came_to(file, beside, outcome, self.now)

    @precondition(lambda self: any(file.trying for file in self.files))
    @rule(data=st.data(), outcome=OUTCOMES, seconds=st.floats(0, 40))
    def an_attempt_ends(self, data: st.DataObject, outcome: Outcome, seconds: float) -> None:
        file = data.draw(st.sampled_from([file for file in self.files if file.trying]))
        assert file.trying is not None
        step, began = file.trying
        self.now += seconds
        file.trying = None
        self.came_to(file, step, outcome, began)

    def came_to(self, file: File, step: Try, outcome: Outcome, began: float) -> None:
        source = step.source
        file.asked[source] += 1
        file.from_zero.discard(source)
        if isinstance(outcome, FINAL) or (isinstance(outcome, Unreachable) and outcome.lasting):
            file.over.add(source)
        if isinstance(outcome, RetiredOutcome):
            self.retired.add(source)
        if isinstance(outcome, Malformed | Corrupt | Spliced):
            file.from_zero.add(source)
        if isinstance(outcome, Spliced | Outrun) or (
            isinstance(outcome, Interrupted) and outcome.gained >= REFUND_BYTES
        ):
            file.refunds[source] += 1
        if isinstance(outcome, Throttled) and outcome.retry_after_s is not None:
            file.floor[source] = self.now + min(outcome.retry_after_s, MAX_WAIT_S)
        before = file.plan
        file.plan = before.after(step, outcome, self.now)
        assert file.plan is not before
        self.note(source, outcome, began, file.sha256)

    @precondition(lambda self: any(file.trying for file in self.files))
    @rule(data=st.data())
    def a_file_is_delivered(self, data: st.DataObject) -> None:
        file = data.draw(st.sampled_from([file for file in self.files if file.trying]))
        assert file.trying is not None
        self.note(file.trying[0].source, Delivered("proven"), file.trying[1], file.sha256)
        self.files.remove(file)

    @precondition(lambda self: not any(file.trying for file in self.files))
    @rule()
    def a_new_run_begins(self) -> None:
        self.files.clear()
        self.deadline = None
        self.health = {name: carried(health, self.now) for name, health in self.health.items()}

    def note(self, source: str, outcome: Outcome, began: float, sha256: str) -> None:
        pause = Pause(2, MAX_WAIT_S, ATTEMPTS[source], 0.5)
        before = self.health.get(source, Health())
        after = before.after(outcome, began=began, now=self.now, sha256=sha256, pause=pause)
        self.health[source] = after

    @invariant()
    def a_source_is_forgiven_only_by_a_success_and_never_once_retired(self) -> None:
        for source in self.retired:
            assert self.health[source].retired

    def teardown(self) -> None:
        """Whatever has happened: from here on each plan ends, in few steps, if nobody has the file."""
        for file in self.files:
            plan, now = file.plan, self.now
            if file.trying:
                plan = plan.after(file.trying[0], NotHere("404"), now)
            for _ in range(30):
                step = plan.next(now, self.health, file.sha256)
                if isinstance(step, GiveUp):
                    break
                if isinstance(step, Wait):
                    now = step.until
                else:
                    plan = plan.after(step, NotHere("404"), now)
            else:
                raise AssertionError("the plan does not end")


Plans.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestPlans = Plans.TestCase
