"""Whether one connection is what a file waits for, and how many are worth having: measured, never assumed. Pure.

A connection counts as the bottleneck once its rate is known and steady, less than a fast one's, and what is
left of the file would take it some seconds. Whether more help is then tried, and all that the run receives
is what counts: where connections only share a line that is full, nothing grows, and one is left. Exclusions:
no clock is read here, and who is asked is `plan`'s to say.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

LOOK_S = 0.3
"""So long one connection is measured at least: a file that is here sooner needs no other."""

STEADY = 1.5
"""What came last may be so much faster than the whole: more, and the connection is still getting up to speed."""

WORTH_S = 3.0
"""What is left must take one connection so long at least: another one begins in a few round trips."""

FAST_BYTES_S = 16e6
"""A connection of this rate is no bottleneck: on loopback or a LAN, where a busy machine is what is slow, nobody else
is asked."""

TRIAL_S = 0.5
"""So long several are measured at least, and as long as they took to begin."""

GROWTH = 1.25
"""Several that are not so much faster than one are not worth their connections."""

Mark = tuple[float, int, int]
"""When, bytes of this file by then, bytes of the whole run by then."""


@dataclass(slots=True)
class Pace:
    """The rates of one file: of one connection first, then of several. Bytes, and bytes a second.

    `least`: of less that is left, nothing is worth another connection.
    """

    least: int
    rate: float = 0.0
    """Of the one connection, once it is known to be slow."""
    _around: float = 0.0
    """Of the whole run, meanwhile."""
    _marks: deque[Mark] = field(default_factory=deque)
    _trial: tuple[float, int, float] | None = None

    def is_slow(self, now: float, arrived: int, everywhere: int, left: int) -> bool:
        """Whether it is worth asking others beside the one that has brought `arrived`, with `left` to come.

        Told of every piece. What lay ready when the reading began says nothing of the rate, so the first is the mark.
        """
        marks = self._marks
        marks.append((now, arrived, everywhere))
        while len(marks) > 1 and marks[1][0] <= now - LOOK_S:
            marks.popleft()
        began, at_first, around_at_first = marks[0]
        span = now - began
        if span < LOOK_S:
            return False
        rate = (arrived - at_first) / span
        half, at_half, _ = max(mark for mark in marks if mark[0] <= now - span / 2 + 1e-6)
        is_steady = (arrived - at_half) / (now - half) <= STEADY * rate
        around = (everywhere - around_at_first) / span
        if not (is_steady and 0 < rate < FAST_BYTES_S and left >= max(self.least, WORTH_S * rate)):
            return False
        self.rate, self._around = rate, around
        return True

    def begin(self, now: float, everywhere: int, since: float) -> None:
        """Several have begun to deliver, which were asked `since`."""
        self._trial = (now, everywhere, max(TRIAL_S, now - since))

    @property
    def is_tried(self) -> bool:
        """Whether several are being measured, or were."""
        return self._trial is not None

    def worth(self, now: float, everywhere: int, connections: int) -> int | None:
        """How many of so many connections are worth having; None: that is not known yet.

        As many as the rate of one goes into that of all, and half a one more for what measuring is wrong by.
        """
        if self._trial is None or now - self._trial[0] < self._trial[2]:
            return None
        began, before, _ = self._trial
        together = self.rate + (everywhere - before) / (now - began) - self._around
        if together < GROWTH * self.rate:
            return 1
        return min(connections, math.ceil(together / self.rate + 0.5))
