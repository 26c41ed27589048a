"""Follows a plan: asks whom it names, sleeps when it says so, and ends when it gives up.

The one loop of the engine in which anything is tried again; what to try is decided in `plan`, how in
the caller's `attempt`. Exclusions: no request is made here, and nothing is known of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from fallback.errors import UnavailableError
from fallback.events import Waiting
from fallback.outcome import Delivered
from fallback.plan import GiveUp, Plan, Policy, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fallback.chance import Try
    from fallback.outcome import Outcome
    from fallback.run import Run
    from fallback.sources import Named


Asked = TypeVar("Asked", bound="Named")
Asked_contra = TypeVar("Asked_contra", bound="Named", contravariant=True)


class Attempt(Protocol[Asked_contra]):
    """One request to one source, as the step says; never raises `Failed`."""

    def __call__(self, source: Asked_contra, step: Try, *, alone: bool) -> Outcome:
        """Ask; `alone`: nobody else is left, so that even a slow source is better than none."""


def pursue(
    run: Run,
    sources: Iterable[Asked],
    attempt: Attempt[Asked],
    *,
    whom: tuple[str, str],
    what: str,
    sha256: str | None = None,
) -> None:
    """Ask `sources`, first in their order, until an attempt has `Delivered`.

    Args:
        run: its settings bound the attempts and pauses, its health says whom to spare.
        sources: each has a name for what is wanted.
        attempt: makes each request.
        whom: model and path, for events.
        what: for people.
        sha256: of the file, for bans; None if it is no file that could be banned.

    Raises:
        UnavailableError: none of them could serve it; each one's reason.
        StoppedError: the run was told to stop.
    """
    known = {source.name: source for source in sources}
    policy = Policy(run.settings.backoff_s, run.settings.max_wait_s, run.deadline)
    plan = Plan.of({name: run.attempts_of(source) for name, source in known.items()}, policy)
    while True:
        run.check()
        step = plan.next(run.clock.now(), run.health, sha256)
        if isinstance(step, GiveUp):
            raise UnavailableError(what, step.reasons)
        if isinstance(step, Wait):
            seconds = max(0.0, step.until - run.clock.now())
            run.emit(Waiting(*whom, step.source, seconds, step.reason))
            run.stop.wait(seconds)
            continue
        outcome = attempt(known[step.source], step, alone=plan.alone)
        if isinstance(outcome, Delivered):
            return
        plan = plan.after(step, outcome, run.clock.now())
