"""Single flight: whoever asks for what is being got already waits for it, and gets what it comes to.

A flight is one call that does the work. Calls with an equal key join it: they wait on its outcome, as
an event and for so long at most, and each one's observer hears how the files stand, then everything
else. The outcome, an error too, reaches all; nothing of it stays, and the next call starts afresh. One
that leads and is stopped stops for itself: of those that joined, one leads on, from what has come.

Exclusions: threads of one process; across processes the files' locks do it (`locks`). What a key is
made of, and what the work is, is the caller's to say.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from fallback.errors import BusyError, StoppedError
from fallback.facts import CacheHit, RunStarted
from fallback.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fallback.facts import Event, Observer

T = TypeVar("T")

LOOK_S = 0.1
"""How often one that waits looks at its own stop event, if it has one."""


ENDS = frozenset({"file_completed", "file_failed"})
"""By their kind: a run that finds all files here makes no event of these classes, and does not load them."""


class Landing(Generic[T]):
    """What a call came to. As concurrent.futures has it, which a run of that kind would take longer to load than to end."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

    def set_result(self, result: T) -> None:
        """It came to this."""
        self._results.append(result)
        self._known.set()

    def set_exception(self, error: BaseException) -> None:
        """It came to nothing."""
        self._error = error
        self._known.set()

    def is_known_within(self, seconds: float) -> bool:
        """Wait for it so long at most."""
        return self._known.wait(min(seconds, threading.TIMEOUT_MAX))

    def result(self) -> T:
        """What is known by now; an error is raised."""
        if self._error is not None:
            raise self._error
        return self._results[0]


class Flight(Generic[T]):
    """One call's work, and those who wait for it."""

    def __init__(self) -> None:
        self.outcome: Landing[T] = Landing()
        self._teller = Teller()
        self._so_far: list[Event] = []
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """An observer of the work: everyone on board is told."""
        with self._lock:
            if isinstance(event, RunStarted | CacheHit) or event.kind in ENDS:
                self._so_far.append(event)
            self._teller(event)

    def board(self, observer: Observer | None) -> None:
        """Tell `observer`, too: first what it needs to know of how the run stands."""
        if observer is not None:
            with self._lock:
                self._teller.add(observer, self._so_far)


class Flights(Generic[T]):
    """The flights under way."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Flight[T]] = {}
        self._lock = threading.Lock()

    def together(
        self,
        key: Hashable,
        work: Callable[[Observer], T],
        *,
        observer: Observer | None = None,
        stop: threading.Event | None = None,
        patience_s: float,
    ) -> T:
        """What `work` comes to: this call's own, or that of the flight with an equal key.

        Args:
            key: what is asked for.
            work: does it, and tells the observer it is given; called in this thread, once at most.
            observer: hears of it, whoever does the work.
            stop: ends this call's wait; `work` must look at it by itself.
            patience_s: how long to wait for another call's work.

        Raises:
            BusyError: the other call was not done within `patience_s`; it goes on.
            StoppedError: `stop` was set.
        """
        ends_at = time.monotonic() + patience_s
        while True:
            flight, leads = self._boarded(key, observer)
            if leads:
                return self._led(key, flight, work)
            try:
                return _waited_for(flight.outcome, stop, ends_at)
            except StoppedError:
                if stop is not None and stop.is_set():
                    raise

    def _boarded(self, key: Hashable, observer: Observer | None) -> tuple[Flight[T], bool]:
        with self._lock:
            flight = self._under_way.get(key)
            leads = flight is None
            flight = flight or self._under_way.setdefault(key, Flight())
        flight.board(observer)
        return flight, leads

    def _led(self, key: Hashable, flight: Flight[T], work: Callable[[Observer], T]) -> T:
        try:
            result = work(flight.tell)
        except BaseException as error:
            self._landed(key)
            # A signal to this thread is no news for the others: they go on.
            mine = not isinstance(error, Exception)
            flight.outcome.set_exception(StoppedError("stopped") if mine else error)
            raise
        self._landed(key)
        flight.outcome.set_result(result)
        return result

    def _landed(self, key: Hashable) -> None:
        """Before the outcome is told: whoever asks again after that starts afresh."""
        with self._lock:
            del self._under_way[key]


def _waited_for(outcome: Landing[T], stop: threading.Event | None, ends_at: float) -> T:
    while True:
        left = max(0.0, ends_at - time.monotonic())
        if outcome.is_known_within(left if stop is None else min(left, LOOK_S)):
            return outcome.result()
        if stop is not None and stop.is_set():
            raise StoppedError("stopped")
        if time.monotonic() >= ends_at:
            raise BusyError("another call is still getting the same models; it goes on")
