"""The time, as a parameter: seconds since the epoch that no clock jump can move.

Health is kept across runs, so moments must mean the same in the next process; a deadline must hold
when an NTP daemon or a person sets the clock back in between (fault 62). So the wall clock is read
once, and from then on only the monotonic clock moves. What an earlier run wrote down is clamped
where it is read (`health.carried`), for a clock may have been wrong then.
"""

from __future__ import annotations

import time


class Clock:
    """`now()` in seconds since the epoch as this process first saw it, never going backwards."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._offset + time.monotonic()
