"""What is known of a source: Up, Cooling, Retired, Banned. A fold over outcomes; pure.

One `Health` per source is shared by all workers and kept across runs (`state`), so that a dead
gateway costs one attempt a worker, once, and not `timeout_s` a file. Exclusions: it never says
which source is next (`plan`), and reads no clock.

The rules, beside those of the table in DESIGN.md:

- An outcome of an attempt that began before the last failure was known counts as that failure:
  four workers that hit a dead gateway in the same second are one failure, not four.
- Not answering costs `patience_s` or more each time, so it cools at once, and others come first for the
  rest of the run; a 5xx is cheap and cools only
  after as many in a row as a source has attempts.
- Failures of one file alone speak against that file: others of the run are still waited for.
- A pause that the server asked for (Retry-After) is `firm`: it is waited for, also in the next
  run. A pause of our own is a guess: the next run may ask sooner when it has nobody else.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.outcome import (
    BlocksOnly,
    Corrupt,
    Delivered,
    Interrupted,
    Throttled,
    Unavailable,
    Unreachable,
)
from fallback.outcome import Retired as RetiredOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fallback.outcome import (
        Outcome,
    )

BAN_S = 24 * 3600.0
"""How long a source that sent wrong bytes is not believed for that sha256 (DESIGN, Outcomes)."""

COOLING_CAP_S = 3600.0
"""The longest pause of our own: a source that came back is noticed within the hour."""


@dataclass(frozen=True, slots=True)
class Up:
    """Nothing speaks against asking."""


@dataclass(frozen=True, slots=True)
class Cooling:
    """Not before `until`. `failures`: in a row, in this run; 0 means an earlier run's guess."""

    until: float
    failures: int
    firm: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Retired:
    """Shut down for good."""

    reason: str


@dataclass(frozen=True, slots=True)
class Banned:
    """Sent wrong bytes for this very sha256; not believed before `until`."""

    until: float


State = Up | Cooling | Retired | Banned


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to leave a failing source alone: its settings, and the dice."""

    backoff_s: float
    max_wait_s: float
    attempts: int
    jitter: float = 0.0
    """In [0, 1): spreads the return of many clients that failed together (fault 107)."""

    def backoff(self, failures: int, *, cap_s: float = COOLING_CAP_S) -> float:
        """Seconds before the next attempt after `failures` in a row: doubling, up to half more by jitter."""
        return float(min(self.backoff_s * 2 ** min(failures - 1, 30) * (1 + self.jitter / 2), cap_s))

    def asked_for(self, retry_after_s: float) -> float:
        """Seconds to honour a Retry-After: never less than it, capped by `max_wait_s`."""
        return min(retry_after_s + self.jitter * self.backoff_s / 2, self.max_wait_s)


@dataclass(frozen=True, slots=True)
class Health:
    """One source's record. Times are `Clock.now()` seconds."""

    failures: int = 0
    """In a row, in this run."""
    streak: int = 0
    """In a row, over all runs: how long the next pause is."""
    failed_at: float = 0.0
    cooling_until: float = 0.0
    firm: bool = False
    retired: bool = False
    reason: str = ""
    silent: bool = False
    """It did not answer in time, in this run, and has delivered nothing since."""
    blocks_only: bool = False
    """A gateway that gives blocks and no files (406)."""
    bans: Mapping[str, float] = field(default_factory=dict)
    """sha256 -> until when."""
    failed: tuple[str | None, ...] = ()
    """By their sha256, the files that `failures` were about; two at most, for then it is not the file's fault."""

    def failures_against(self, sha256: str | None) -> int:
        """How many of the failures speak against asking for this file: what befell one other file may be its own."""
        another = sha256 is not None and len(self.failed) == 1 and sha256 not in self.failed
        return min(self.failures, 1) if another else self.failures

    def state(self, now: float, sha256: str | None = None) -> State:
        """What to know before asking for the file with this `sha256`."""
        if self.retired:
            return Retired(self.reason)
        if sha256 is not None and self.bans.get(sha256, 0.0) > now:
            return Banned(self.bans[sha256])
        if self.cooling_until > now:
            return Cooling(self.cooling_until, self.failures_against(sha256), self.firm, self.reason)
        return Up()

    def after(
        self, outcome: Outcome, *, began: float, now: float, sha256: str | None, pause: Pause
    ) -> Health:
        """The record after an attempt that began at `began` and ended `now` with `outcome`."""
        failed = functools.partial(self._failed, outcome, began, now, pause, sha256)
        match outcome:
            case Corrupt() if sha256 is not None:
                bans = {known: until for known, until in self.bans.items() if until > now}
                return replace(self, bans=bans | {sha256: now + BAN_S}, reason=outcome.reason)
            case _ if self.retired:
                return self  # also after a success of an attempt that had begun before
            case RetiredOutcome():
                return replace(self, retired=True, reason=outcome.reason)
            case Delivered():
                return Health(bans=self.bans, blocks_only=self.blocks_only)
            case BlocksOnly(always=True):
                return replace(self, blocks_only=True)
            case Throttled(retry_after_s=None):
                return failed(cool=True)
            case Throttled(retry_after_s=float() | int() as seconds):
                return failed(cool=True, asked_s=pause.asked_for(seconds))
            case Unreachable():
                return failed(cool=True)
            case Unavailable(timed_out=timed_out) | Interrupted(gained=0, stalled=timed_out):
                return replace(failed(cool=timed_out), silent=self.silent or timed_out)
            case _:
                return self

    def _failed(
        self,
        outcome: Outcome,
        began: float,
        now: float,
        pause: Pause,
        sha256: str | None,
        *,
        cool: bool,
        asked_s: float | None = None,
    ) -> Health:
        known = began < self.failed_at
        failures = self.failures if known else self.failures + 1
        streak = self.streak if known else self.streak + 1
        until = self.cooling_until
        if asked_s is not None:
            until = max(until, now + asked_s)
        elif not known and (cool or failures >= pause.attempts):
            until = max(until, now + pause.backoff(streak))
        return replace(
            self,
            failures=failures,
            failed=tuple(dict.fromkeys((*self.failed, sha256)))[:2],
            streak=streak,
            failed_at=self.failed_at if known else now,
            cooling_until=until,
            firm=asked_s is not None or (self.firm and self.cooling_until > now),
            reason=outcome.reason,
        )


def carried(health: Health, now: float, max_wait_s: float = 0.0) -> Health:
    """What an earlier run's record is worth in this one, read at `now`.

    Its failures are not this run's. A moment further ahead than any rule here can set it was
    written under another clock, and is dropped.
    """
    longest = max(COOLING_CAP_S, max_wait_s)
    return replace(
        health,
        failures=0,
        failed=(),
        failed_at=0.0,
        silent=False,
        cooling_until=health.cooling_until if health.cooling_until <= now + longest else 0.0,
        bans={known: until for known, until in health.bans.items() if now < until <= now + BAN_S},
    )
