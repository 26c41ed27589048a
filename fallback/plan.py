"""Which source next, when, and when to stop: the only retry logic anywhere. Pure.

A `Plan` is one file's, immutable: `next(now, health)` says what to do, `after(...)` gives the plan
that knows what came of it. The caller makes the request or sleeps; nothing here does I/O, reads a
clock, keeps what is known of one source (`chance`), or what holds for other files too (`health`).

The rules, from DESIGN.md:

- Sources are tried in the order given; one that fails goes to the back. An answer cut short after real
  progress is resumed where it broke off; one that was merely outrun, or brought its part, keeps its place.
- A source has so many attempts; each MiB that an interrupted one gained gives its attempt back.
- A source that is cooling or backing off is waited for only when nobody else can be asked now, and
  `max_wait_s` at most. One that failed in this run as often as it has attempts is not waited for:
  so a dead network ends a run of any length in a few pauses.
- What an earlier run merely guessed (cooling) only puts a source behind the others; so does
  having failed in this run as often as it has attempts, once its pause is over.
- A banned source is asked again, once, from zero, when it is the last one left: it may have been
  mended, and wrong bytes cannot get past the proof.
- A gateway that gives no files, only blocks, is asked for those at once, which costs no attempt.
- Where chunks say which bytes of a file are wrong, whoever sent them is banned as if it had been asked
  last; whoever was asked last goes on.
- A source that has not begun to deliver in time is not waited for alone: the next one is asked beside it
  (`race`). One that was silent in this run is behind the others, so that it delays one file, once.
- No step is planned for a time past the deadline.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.chance import UNASKED, Chance, Try
from fallback.health import Banned, Cooling, Health, Pause, Retired, Up
from fallback.outcome import Interrupted, Outrun, PartDelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from fallback.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody can be asked before `until`, when `source` can; `reason` is why it cannot now."""

    source: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The file cannot be had; (source, reason) for each source there is, in the order given."""

    reasons: tuple[tuple[str, str], ...]


Step = Try | Wait | GiveUp


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings a plan goes by; seconds, and `Clock.now()` for the deadline."""

    backoff_s: float
    max_wait_s: float
    deadline: float | None = None
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Plan:
    """One file's sources, in the order they would be asked now."""

    policy: Policy
    queue: tuple[Chance, ...] = field(default=())

    @classmethod
    def of(cls, sources: Mapping[str, int], policy: Policy) -> Plan:
        """A plan that has not begun: sources in order, each with its number of attempts (> 0)."""
        return cls(
            policy,
            tuple(
                Chance(name, rank, attempts, attempts)
                for rank, (name, attempts) in enumerate(sources.items())
            ),
        )

    def next(self, now: float, health: Mapping[str, Health], sha256: str | None = None) -> Step:
        """What to do now, given what is known of the sources (one that is absent is Up)."""
        deadline = self.policy.deadline
        if deadline is not None and now >= deadline:
            return self._give_up("the deadline has passed")
        open_ = [(chance, health.get(chance.source, Health()).state(now, sha256)) for chance in self._open()]
        ready, waits = self._options(open_, now, health, sha256)
        if ready:
            return self._try(ready[0], health)
        last = None if waits else self._last_resort(open_)
        if last is not None:
            until = max(last.not_before, health.get(last.source, Health()).cooling_until)
            if until <= now:
                from_zero = last.from_zero or not last.corrupt
                return replace(self._try(last, health), from_zero=from_zero, last_resort=True)
            if until - now <= self.policy.max_wait_s:
                waits.append(Wait(last.source, until, last.reason))
        wait = min(waits, key=lambda wait: wait.until, default=None)
        if wait is not None and (deadline is None or wait.until < deadline):
            return wait
        return self._give_up(None, dict(_known(open_)))

    def beside(
        self,
        steps: Collection[Try],
        now: float,
        health: Mapping[str, Health],
        sha256: str | None = None,
    ) -> Try | None:
        """Whom to ask beside `steps`, which are under way and have not begun to deliver; None: nobody.

        The one that would be next without them, if it can be asked at once and nothing is known against it. One that
        was silent itself is no help: it would only push out the first of those who are still given their time (P5).
        """
        asked = {step.source for step in steps}
        others = replace(self, queue=tuple(each for each in self.queue if each.source not in asked))
        step = others.next(now, health, sha256)
        if not isinstance(step, Try) or step.last_resort or health.get(step.source, Health()).silent:
            return None
        return step

    def _options(
        self,
        open_: list[tuple[Chance, Up | Cooling | Retired | Banned]],
        now: float,
        health: Mapping[str, Health],
        sha256: str | None,
    ) -> tuple[list[Chance], list[Wait]]:
        """Who can be asked now, those with nothing against them first; and who could be waited for."""
        ready: list[Chance] = []
        guesses: list[Chance] = []
        waits: list[Wait] = []
        for chance, state in open_:
            if chance.corrupt or isinstance(state, Retired | Banned):
                continue
            known = health.get(chance.source, Health())
            spent = known.silent or known.failures_against(sha256) >= chance.attempts
            behind = isinstance(state, Up) and spent
            guess = behind or (isinstance(state, Cooling) and not state.firm and state.failures == 0)
            until = chance.not_before if guess else self._ready_at(chance, state)
            if until is not None and until <= now:
                (guesses if guess else ready).append(chance)
            elif until is not None and until - now <= self.policy.max_wait_s:
                waits.append(Wait(chance.source, until, _why(chance, state)))
        return ready + guesses, waits

    def after(self, step: Try, outcome: Outcome, now: float) -> Plan:
        """The plan once `step` has come to a failing `outcome`."""
        chance = next(chance for chance in self.queue if chance.source == step.source)
        if isinstance(outcome, Outrun | PartDelivered) and (kept := chance.refunded(step, outcome)):
            return replace(self, queue=tuple(kept if each is chance else each for each in self.queue))
        others = tuple(other.accused(outcome) for other in self.queue if other is not chance)
        kept = chance.refunded(step, outcome)
        if kept is None:
            kept = chance.spent(step, outcome, now, self._pause(chance))
        elif not (isinstance(outcome, Interrupted) and outcome.stalled):
            return replace(self, queue=(kept, *others))
        return replace(self, queue=(*others, kept))

    @property
    def alone(self) -> bool:
        """Whether only one source is left: then even a slow one is better than none."""
        return sum(1 for _ in self._open()) <= 1

    def _open(self) -> Iterator[Chance]:
        return (chance for chance in self.queue if chance.left > 0 and not chance.dropped)

    def _pause(self, chance: Chance) -> Pause:
        policy = self.policy
        return Pause(policy.backoff_s, policy.max_wait_s, chance.attempts, policy.jitter())

    @staticmethod
    def _ready_at(chance: Chance, state: Up | Cooling) -> float | None:
        if isinstance(state, Up):
            return chance.not_before
        return max(chance.not_before, state.until) if state.failures < chance.attempts else None

    @staticmethod
    def _try(chance: Chance, health: Mapping[str, Health]) -> Try:
        as_blocks = chance.as_blocks or health.get(chance.source, Health()).blocks_only
        return Try(chance.source, chance.asked + 1, chance.from_zero, as_blocks=as_blocks)

    @staticmethod
    def _last_resort(open_: list[tuple[Chance, Up | Cooling | Retired | Banned]]) -> Chance | None:
        """A banned source nobody asked in this plan; or one that lied here, if a chunk is wanted, or it is all there is."""
        unasked = [chance for chance, state in open_ if isinstance(state, Banned) and not chance.corrupt]
        if unasked:
            return unasked[0]
        left = [chance for chance, state in open_ if not isinstance(state, Retired)]
        mending = [chance for chance in left if chance.corrupt and not chance.from_zero]
        if mending:  # a chunk is all that asking once more can cost
            return mending[0]
        return left[0] if len(left) == 1 and left[0].corrupt else None

    def _give_up(self, why: str | None, known: Mapping[str, str] | None = None) -> GiveUp:
        reasons = []
        for chance in sorted(self.queue, key=lambda chance: chance.rank):
            reason = chance.reason
            if reason == UNASKED and known and chance.source in known:
                reason = f"{UNASKED}: {known[chance.source]}"
            reasons.append((chance.source, f"{reason} ({why})" if why not in {None, reason} else reason))
        return GiveUp(tuple(reasons))


def _why(chance: Chance, state: Up | Cooling) -> str:
    return state.reason if isinstance(state, Cooling) else chance.reason


def _known(open_: list[tuple[Chance, Up | Cooling | Retired | Banned]]) -> Iterator[tuple[str, str]]:
    for chance, state in open_:
        if isinstance(state, Cooling | Retired):
            yield chance.source, state.reason
        elif isinstance(state, Banned):
            yield chance.source, "it sent wrong bytes for this file before"
