"""Follows a plan: asks whom it names, sleeps when it says so, and ends when it gives up.

The one loop of the engine in which anything is tried again; what to try is decided in `plan`, how in
the caller's `attempt`. Exclusions: no request is made here, and nothing is known of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from fallback.chance import Try
from fallback.errors import UnavailableError
from fallback.events import Waiting
from fallback.health import Health, Up
from fallback.outcome import Delivered
from fallback.plan import GiveUp, Plan, Policy, Wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fallback.outcome import Outcome
    from fallback.plan import Step
    from fallback.run import Run
    from fallback.sources import Named


Asked = TypeVar("Asked", bound="Named")


class Attempt(Protocol[Asked]):
    """One request to one source, as the step says, and to those asked beside it; never raises `Failed`."""

    def __call__(self, source: Asked, step: Try, course: Course[Asked]) -> tuple[Try, Outcome]:
        """Ask; what others came to is told to `course`.

        Returns:
            the step that was not given up for another, and its outcome.
        """


class Course(Generic[Asked]):
    """A plan that is being followed: it names sources, and learns what they came to."""

    def __init__(self, run: Run, sources: Mapping[str, Asked], plan: Plan, sha256: str | None) -> None:
        self._run, self._sources, self._sha256 = run, sources, sha256
        self._plan = plan

    @property
    def alone(self) -> bool:
        """Nobody else is left: then even a slow source is better than none."""
        return self._plan.alone

    def next(self) -> Step:
        """What to do now."""
        return self._plan.next(self._run.clock.now(), self._run.health, self._sha256)

    def beside(self, steps: Collection[Try]) -> tuple[Asked, Try] | None:
        """Whom to ask beside `steps`, none of which has begun to deliver in time."""
        step = self._plan.beside(steps, self._run.clock.now(), self._run.health, self._sha256)
        return None if step is None else (self._sources[step.source], step)

    def helper(self, steps: Collection[Try], useless: Collection[str]) -> tuple[Asked, Try] | None:
        """Whom to ask for a part of the file beside `steps`, which deliver it slowly; None: nobody.

        One that failed is asked again after its pause, but not one that was silent, or failed as often as it has
        attempts. `useless`: who has shown to be no help.
        """
        passed = [*steps, *(Try(name, 0) for name in useless)]
        while (found := self.beside(passed)) is not None:
            source, step = found
            known = self._run.health.get(source.name, Health())
            is_up = isinstance(known.state(self._run.clock.now(), self._sha256), Up)
            is_spent = known.failures_against(self._sha256) >= self._run.attempts_of(source)
            if is_up and not (is_spent or known.silent or step.as_blocks or step.from_zero):
                return found
            passed.append(step)
        return None

    def came_to(self, step: Try, outcome: Outcome) -> None:
        """Learn what a step came to that did not deliver."""
        self._plan = self._plan.after(step, outcome, self._run.clock.now())


def pursue(
    run: Run,
    sources: Iterable[Asked],
    attempt: Attempt[Asked],
    *,
    whom: tuple[str, str],
    what: str,
    sha256: str | None = None,
    useless: Iterable[tuple[str, str]] = (),
) -> None:
    """Ask `sources`, first in their order, until an attempt has `Delivered`.

    Args:
        run: its settings bound the attempts and pauses, its health says whom to spare.
        sources: each has a name for what is wanted.
        attempt: makes each request.
        whom: model and path, for events.
        what: for people.
        sha256: of the file, for bans; None if it is no file that could be banned.
        useless: others, which are not asked, and why; told if nobody can serve it.

    Raises:
        UnavailableError: none of them could serve it; each one's reason.
        StoppedError: the run was told to stop.
    """
    known = {source.name: source for source in sources}
    policy = Policy(run.settings.backoff_s, run.settings.max_wait_s, run.deadline)
    plan = Plan.of({name: run.attempts_of(source) for name, source in known.items()}, policy)
    course = Course(run, known, plan, sha256)
    while True:
        run.check()
        step = course.next()
        if isinstance(step, GiveUp):
            raise UnavailableError(what, (*step.reasons, *useless))
        if isinstance(step, Wait):
            seconds = max(0.0, step.until - run.clock.now())
            run.emit(Waiting(*whom, step.source, seconds, step.reason))
            run.stop.wait(seconds)
            continue
        step, outcome = attempt(known[step.source], step, course)
        if isinstance(outcome, Delivered):
            return
        course.came_to(step, outcome)
