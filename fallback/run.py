"""What the files of one run share: settings, clock, cache, network, health, observers.

`running` makes a `Run` and closes everything after it. Exclusions: nothing here downloads
(`download`) or knows how many files there are (`engine`).
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback import metrics
from fallback.cache import Cache
from fallback.clock import Clock
from fallback.errors import StoppedError
from fallback.events import Warned
from fallback.health import Health, Pause, carried
from fallback.state import State
from fallback.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from fallback.events import Event, Observer
    from fallback.outcome import Outcome
    from fallback.settings import Settings
    from fallback.sources import Named, Source
    from fallback.transport import Transport


LOOK_S = 0.1
"""How often a caller's own stop event is looked at while the run sleeps."""


@dataclass(slots=True)
class Run:
    """What the files of one run share. `note` folds an outcome into the health all workers see."""

    settings: Settings
    clock: Clock
    cache: Cache
    sources: tuple[Source, ...]
    transport: Callable[[], Transport]
    emit: Callable[[Event], None]
    stop: Stop
    health: dict[str, Health]
    note: Callable[[Named, Outcome, float, str | None], None]
    observe: Callable[[Observer], None]
    deadline: float | None = None
    rehash: bool = False
    """No row is trusted, and whatever stands in a file's place is set aside: this is a repair."""

    def attempts_of(self, source: Named) -> int:
        """How often a file may ask this source."""
        return _attempts_of(self.settings, source)

    def left_s(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.now())

    def over(self) -> bool:
        """Whether the run was told to stop, or its deadline has passed."""
        return self.stop.is_set() or self.left_s() == 0.0

    def check(self) -> None:
        """Raise StoppedError once the run was told to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped")


@contextlib.contextmanager
def running(
    settings: Settings,
    sources: tuple[Source, ...],
    observer: Observer | None,
    stop: threading.Event | None,
    *,
    types: Mapping[str, str],
    root: Path | None = None,
    rehash: bool = False,
) -> Iterator[tuple[Run, State]]:
    """A run with all it shares, and everything closed after it."""
    teller = Teller([observer] if observer else [])
    clock, ending = Clock(), Stop(stop)
    network = _Network(settings, ending)
    with State(settings.state_path, lambda message: teller(Warned(message))) as state:
        known = {
            name: carried(health, clock.now(), settings.max_wait_s)
            for name, health in state.health.load().items()
        }
        board = _Board(settings, known, state, clock)
        teller.add(metrics.Recorder(state.attempts, types, clock.now))
        deadline = None if settings.deadline_s is None else clock.now() + settings.deadline_s
        root = root or settings.models_dir
        run = Run(
            settings=settings,
            clock=clock,
            cache=Cache(
                root,
                settings.state_path,
                state.verified,
                state.chunks,
                alone=root != settings.models_dir,
            ),
            sources=() if settings.offline else sources,
            transport=network,
            emit=teller,
            stop=ending,
            health=known,
            note=board.note,
            deadline=deadline,
            rehash=rehash,
            observe=teller.add,
        )
        try:
            yield run, state
        finally:
            network.close()


class Stop:
    """Whether the run is to end: its caller's event, or the run's own reasons; the caller's is only read."""

    def __init__(self, outer: threading.Event | None) -> None:
        self._outer, self._own = outer, threading.Event()

    def set(self) -> None:
        """End the run."""
        self._own.set()

    def is_set(self) -> bool:
        """Whether it is to end."""
        return self._own.is_set() or (self._outer is not None and self._outer.is_set())

    def wait(self, seconds: float) -> bool:
        """Sleep so long, or until the run is to end, whichever of the two events says so; whether it is."""
        ends_at = time.monotonic() + seconds
        while not self.is_set() and (left := ends_at - time.monotonic()) > 0:
            self._own.wait(left if self._outer is None else min(left, LOOK_S))
        return self.is_set()


class _Board:
    """The health of all sources: shared by the workers, written down for the next run."""

    def __init__(self, settings: Settings, known: dict[str, Health], state: State, clock: Clock) -> None:
        self._settings, self._known, self._state, self._clock = settings, known, state, clock
        self._lock = threading.Lock()

    def note(self, source: Named, outcome: Outcome, began: float, sha256: str | None) -> None:
        attempts = _attempts_of(self._settings, source)
        jitter = random.random()  # noqa: S311 - spreads clients, keeps no secret
        pause = Pause(self._settings.backoff_s, self._settings.max_wait_s, attempts, jitter)
        with self._lock:
            before = self._known.get(source.name, Health())
            after = before.after(outcome, began=began, now=self._clock.now(), sha256=sha256, pause=pause)
            self._known[source.name] = after
            if (
                after != before
            ):  # under the lock: a slower thread must not write an older record over this one
                self._state.health.save(source.name, after)


class _Network:
    """The transport, made when the first file needs it: a warm run imports no HTTP library."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self._settings, self._stop = settings, stop
        self._transport: Transport | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Transport:
        from fallback.exchange import is_public  # noqa: PLC0415 - see the class
        from fallback.transport import Transport  # noqa: PLC0415

        anywhere = self._settings.allow_private_redirects
        with self._lock:
            if self._transport is None:
                self._transport = Transport(
                    connect_timeout_s=self._settings.connect_timeout_s,
                    timeout_s=self._settings.timeout_s,
                    connections=self._settings.jobs,
                    stop=self._stop.is_set,
                    ca_bundle=self._settings.ca_bundle,
                    is_public=(lambda _address: False) if anywhere else is_public,
                )
            return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _attempts_of(settings: Settings, source: Named) -> int:
    return settings.gateway_attempts if source.layer == "ipfs" else settings.hub_attempts
