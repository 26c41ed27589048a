"""What is left of one source for one file: a chance of a plan, and what each outcome does to it. Pure.

Exclusions: whose turn it is (`plan`), and what holds for other files too (`health`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fallback.outcome import (
    BlocksOnly,
    Corrupt,
    Interrupted,
    Malformed,
    NotHere,
    Outrun,
    PartDelivered,
    Refused,
    Retired,
    Spliced,
    Storage,
    Throttled,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from fallback.health import Pause
    from fallback.outcome import Outcome

REFUND_BYTES = 1 << 20
"""Progress that gives an interrupted attempt back: a slow path that moves is not a failing one."""

UNASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Try:
    """Ask `source` now. `attempt` counts from 1; `from_zero`: no Range, whatever is on disk.

    `last_resort`: it is known to have sent wrong bytes, and nobody else is left. `as_blocks`: it gives no
    files, only their blocks.
    """

    source: str
    attempt: int
    from_zero: bool = False
    last_resort: bool = False
    as_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Chance:
    """What is left of one source for this file."""

    source: str
    rank: int
    """Its place in the order given."""
    attempts: int
    """How many it has in all: what bounds its failures in this run too."""
    left: int
    asked: int = 0
    not_before: float = 0.0
    from_zero: bool = False
    as_blocks: bool = False
    dropped: bool = False
    corrupt: bool = False
    reason: str = UNASKED

    def refunded(self, step: Try, outcome: Outcome) -> Chance | None:
        """The chance after an attempt that cost nothing, or None: what it brought stays, or somebody else was to blame."""
        match outcome:
            case Interrupted(gained=gained) if gained >= REFUND_BYTES:
                return self._asked(step, outcome)
            case Outrun():
                return replace(self, asked=self.asked + 1, reason=outcome.reason)
            case PartDelivered() | Spliced(mendable=True):
                return self._asked(step, outcome)
            case BlocksOnly() if not step.as_blocks:
                return replace(self._asked(step, outcome), as_blocks=True)
            case _:
                return None

    def spent(self, step: Try, outcome: Outcome, now: float, pause: Pause) -> Chance:
        """The chance after an attempt that failed, and cost what the rules say."""
        kept = self._asked(step, outcome)
        spent = replace(kept, left=self.left - 1)
        match outcome:
            case Interrupted() | Unavailable() | Unreachable(lasting=False) | Throttled(retry_after_s=None):
                backoff = pause.backoff(self.attempts - spent.left, cap_s=pause.max_wait_s)
                spent = replace(spent, not_before=now + backoff)
            case Throttled(retry_after_s=float() | int() as seconds):
                spent = replace(spent, not_before=now + pause.asked_for(seconds))
            case Malformed():
                # Once more, from zero, also if it was its last attempt: only that tells a bad range from a bad source.
                spent = replace(spent, left=1, dropped=self.from_zero)
            case Corrupt(mendable=True, gained=gained) if gained:
                # What came right stays right: there are only so many chunks to be wrong about.
                return replace(kept, corrupt=True)
            case Corrupt(mendable=True) if not step.from_zero:
                return replace(spent, corrupt=True, left=max(spent.left, 1))
            case Corrupt():
                spent = replace(spent, corrupt=True)
            case Spliced():
                spent = replace(spent, left=max(spent.left, 1))
            case BlocksOnly() | NotHere() | Unreachable() | Retired() | Refused() | Storage():
                spent = replace(spent, dropped=True)
        return replace(spent, dropped=spent.dropped or step.last_resort)

    def accused(self, outcome: Outcome) -> Chance:
        """The chance after an attempt of another source, which may have proven that this one sent wrong bytes."""
        if isinstance(outcome, Corrupt | Spliced) and self.source in outcome.others:
            return replace(self, corrupt=True, reason=f"it sent wrong bytes: {outcome.reason}")
        return self

    def _asked(self, step: Try, outcome: Outcome) -> Chance:
        return replace(self, asked=self.asked + 1, from_zero=_from_zero(step, outcome), reason=outcome.reason)


def _from_zero(step: Try, outcome: Outcome) -> bool:
    """Whether the next attempt is to begin at the first byte, without a Range."""
    match outcome:
        case Corrupt(mendable=True, gained=gained):
            # Wrong once more by Range, and nothing came right: it may be its ranges that are wrong.
            return step.last_resort and not gained
        case Spliced(mendable=True):
            return False
        case Corrupt() | Spliced():
            return True
        case _:
            return isinstance(outcome, Malformed)
