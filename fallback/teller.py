"""Tells observers: one event at a time, whichever thread it comes from.

One that fails is dropped, and that is told to the rest, for a failing observer never fails a sync (P11).
Exclusions: nothing is kept, delayed or left out; whoever is slow here makes whoever tells wait.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fallback.facts import Warned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fallback.facts import Event, Observer


class Teller:
    """An observer that tells others."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)
        self._lock = threading.RLock()

    def add(self, observer: Observer, so_far: Iterable[Event] = ()) -> None:
        """Tell `observer` too: first what it missed, then everything from now on, with nothing in between."""
        with self._lock:
            self._observers.append(observer)
            for event in so_far:
                self._tell(observer, event)

    def __call__(self, event: Event) -> None:
        """Tell every observer."""
        with self._lock:
            for observer in tuple(self._observers):
                self._tell(observer, event)

    def _tell(self, observer: Observer, event: Event) -> None:
        if observer not in self._observers:  # dropped since
            return
        try:
            observer(event)
        except Exception as error:  # noqa: BLE001 - whatever an observer does, the sync goes on (P11)
            self._observers.remove(observer)
            self(Warned(f"an observer failed and is told nothing more: {error!r}"))
