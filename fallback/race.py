"""Sources asked side by side for one file: the first whose body begins has it, the others are shut.

The idea is RFC 8305's (Happy Eyeballs): who keeps us waiting is not waited for alone. One is asked; if its
body has not begun within `patience_s`, the next one of the plan is asked beside it, and so on, two at a
time at most. What each of the others came to is told before a byte is written. Exclusions: whom to ask
beside whom is `plan`'s to say; nothing is proven or written here, and what has begun is read by the caller.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from fallback.outcome import Failed, Outcome, Outrun, Unavailable
from fallback.watchdog import WATCHDOG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    from fallback.answer import Answer
    from fallback.chance import Try
    from fallback.exchange import Request
    from fallback.sources import Source

AT_ONCE = 2
"""Sources asked at a time: a third would load servers for a file that two are already asked for."""


@dataclass(eq=False, slots=True)
class Leg:
    """One source that is asked. `began`: by the run's clock; `since`: by the monotonic one."""

    source: Source
    step: Try
    request: Request
    began: float
    alone: bool
    since: float = field(default_factory=time.monotonic)
    received: int = 0
    """Bytes of the file that came from it, as far as they were of use."""
    is_shut: bool = False
    """Nobody waits for it any more."""
    is_outdone: bool = False
    """Nobody waits for the answer that it waits for or reads now; another one may be asked for after it."""

    @property
    def is_over(self) -> bool:
        """Whether the answer is to end now: looked at by whoever asks (`Network.open`)."""
        return self.is_shut or self.is_outdone

    def shut(self) -> None:
        """End it, at once: a thread that waits for an answer is waited for itself."""
        self.is_shut = True
        WATCHDOG.look()

    def outdo(self) -> None:
        """End this one answer, at once."""
        self.is_outdone = True
        WATCHDOG.look()


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer whose body has begun, at byte `start` of the file; `since` its head came (monotonic)."""

    answer: Answer
    start: int
    since: float


class Race:
    """`ask` is called in a thread of `pool`, one a leg: it returns once the body begins, and ends when the leg is shut."""

    def __init__(self, pool: ThreadPoolExecutor, ask: Callable[[Leg], Begun], patience_s: float) -> None:
        self._pool, self._ask, self._patience_s = pool, ask, patience_s
        self._under_way: dict[Future[Begun], Leg] = {}
        self._shut: list[Future[Begun]] = []
        self._looked_at = 0.0

    def winner(
        self,
        source: Source,
        step: Try,
        *,
        entered: Callable[[Source, Try], Leg],
        beside: Callable[[Sequence[Try]], tuple[Source, Try] | None],
        lost: Callable[[Leg, Outcome], None],
    ) -> tuple[Leg, Begun | Outcome]:
        """The first whose body begins; or the last of them, and why it failed, when all have.

        Args:
            source: who is asked first.
            step: how.
            entered: makes a leg of one that is now asked.
            beside: whom to ask beside these, each of which has had its time; None: nobody.
            lost: told what each of the others came to.

        Raises:
            StoppedError: the run was told to stop; and whatever else `ask` raises, but for Failed.
        """
        self._enter(entered(source, step))
        while True:
            done = self._first_done()
            if done is None:
                legs = tuple(self._under_way.values())
                following = beside([leg.step for leg in legs])
                if following is not None:
                    if len(legs) == AT_ONCE:
                        self._lose(legs[0], lost)
                    self._enter(entered(*following))
                continue
            leg = self._under_way.pop(done)
            came = _came_to(done)
            if isinstance(came, Begun) or not self._under_way:
                for other in tuple(self._under_way.values()):
                    self._lose(other, lost)
                return leg, came
            lost(leg, came)
            self._looked_at = 0.0  # those who are left have had their time: the next is asked at once

    def close(self) -> None:
        """Shut whoever is still being asked, and wait until all have ended: no thread and no socket is left."""
        for future, leg in self._under_way.items():
            leg.shut()
            self._shut.append(future)
        for future in self._shut:
            if future.exception() is None:
                future.result().answer.close()
        self._under_way.clear()
        self._shut.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enter(self, leg: Leg) -> None:
        self._under_way[self._pool.submit(self._ask, leg)] = leg
        self._looked_at = leg.since

    def _first_done(self) -> Future[Begun] | None:
        """Who has come to something, the one asked first if several have; None once their time is over."""
        youngest = max(leg.since for leg in self._under_way.values())
        ends_at = max(youngest, self._looked_at) + self._patience_s
        done, _ = wait(
            self._under_way, timeout=max(0.0, ends_at - time.monotonic()), return_when=FIRST_COMPLETED
        )
        if not done:
            self._looked_at = time.monotonic()
            return None
        return next(future for future in self._under_way if future in done)

    def _lose(self, leg: Leg, lost: Callable[[Leg, Outcome], None]) -> None:
        """Shut it: who had its time and is silent is unavailable; of one that was not, or has just begun, nothing is known."""
        future = next(future for future, each in self._under_way.items() if each is leg)
        del self._under_way[future]
        leg.shut()
        self._shut.append(future)
        waited = time.monotonic() - leg.since
        came = _came_to(future) if future.done() else None
        if isinstance(came, Outcome):
            lost(leg, came)
        elif came is None and waited >= self._patience_s:
            lost(
                leg,
                Unavailable(f"no first byte within {waited:.1f} s, and another was asked", timed_out=True),
            )
        else:
            lost(leg, Outrun("another's body began first"))


def _came_to(future: Future[Begun]) -> Begun | Outcome:
    try:
        return future.result()
    except Failed as failed:
        return failed.outcome
