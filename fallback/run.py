"""What the files of one run share: settings, clock, cache, network, health, observers.

`running` makes a `Run` and closes everything after it. Exclusions: nothing here downloads
(`download`), asks anybody (`network`), or knows how many files there are (`engine`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fallback import metrics
from fallback.cache import Cache
from fallback.clock import Clock
from fallback.errors import StoppedError, UnavailableError
from fallback.facts import Warned
from fallback.state import State
from fallback.teller import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from fallback.facts import Event, Observer
    from fallback.health import Health
    from fallback.network import Network
    from fallback.outcome import Outcome
    from fallback.settings import Settings
    from fallback.sources import Named, Source
    from fallback.transport import Transport
    from fallback.wanted import Wanted


LOOK_S = 0.1
"""How often a caller's own stop event is looked at while the run sleeps."""


@dataclass(slots=True)
class Run:
    """What the files of one run share. `network` is made by whoever asks for it first."""

    settings: Settings
    clock: Clock
    cache: Cache
    network: Callable[[], Network]
    emit: Callable[[Event], None]
    stop: Stop
    observe: Callable[[Observer], None]
    deadline: float | None = None
    ending: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What the run does at its end, whatever it was."""
    promises: Callable[[Wanted], bool] = lambda _wanted: True
    """Whether the manifest in force still has the file as this run has it."""
    rehash: bool = False
    """No row is trusted, and whatever stands in a file's place is set aside: this is a repair."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Who can be asked, in order."""
        return self.network().sources

    @property
    def useless(self) -> tuple[tuple[str, str], ...]:
        """(source, reason) of those that have nothing for any file."""
        return tuple(self.network().useless.items())

    @property
    def health(self) -> dict[str, Health]:
        """What is known of each source, as it is now."""
        return self.network().health

    def askers(self) -> ThreadPoolExecutor:
        """Threads that wait for answers."""
        return self.network().askers

    def transport(self) -> Transport:
        """What makes the requests."""
        return self.network().transport

    def note(self, source: Named, outcome: Outcome, began: float, sha256: str | None) -> None:
        """Fold an outcome into the health that all workers see."""
        self.network().note(source, outcome, began, sha256)

    def attempts_of(self, source: Named) -> int:
        """How often a file may ask this source."""
        return self.network().attempts_of(source)

    def left_s(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.now())

    def over(self) -> bool:
        """Whether the run was told to stop, or its deadline has passed."""
        return self.stop.is_set() or self.left_s() == 0.0

    def check_promised(self, wanted: Wanted) -> None:
        """Raise UnavailableError if the manifest was changed meanwhile, and has the file otherwise or not at all.

        Asked before anything that stands in its place is set aside, and before the file gets its name (P1).
        """
        if not self.promises(wanted):
            what = "it was changed meanwhile, and has another file there, or none: run this again"
            raise UnavailableError(str(wanted), [("the manifest", what)])

    def check(self) -> None:
        """Raise StoppedError once the run was told to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped")


@contextlib.contextmanager
def running(
    settings: Settings,
    sources: tuple[Source, ...] | None,
    observer: Observer | None,
    stop: threading.Event | None,
    *,
    types: Mapping[str, str],
    root: Path | None = None,
    rehash: bool = False,
) -> Iterator[tuple[Run, State]]:
    """A run with all it shares, and everything closed after it; `sources`: None for those of the settings."""
    teller = Teller([observer] if observer else [])
    clock, ending = Clock(), Stop(stop)
    root = root or settings.models_dir
    with State(settings.state_path, lambda message: teller(Warned(message))) as state:
        teller.add(metrics.Recorder(state.attempts, types, clock.now))
        deadline = None if settings.deadline_s is None else clock.now() + settings.deadline_s
        network = _Late(settings, sources, state, clock, ending, deadline=deadline, emit=teller)
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
            network=network,
            emit=teller,
            stop=ending,
            observe=teller.add,
            deadline=deadline,
            rehash=rehash,
        )
        try:
            yield run, state
        finally:
            run.ending.close()
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


class _Late:
    """The network, made when it is first needed."""

    def __init__(
        self,
        settings: Settings,
        sources: tuple[Source, ...] | None,
        state: State,
        clock: Clock,
        stop: Stop,
        *,
        deadline: float | None,
        emit: Callable[[Event], None],
    ) -> None:
        self._settings, self._sources, self._state = settings, sources, state
        self._clock, self._stop, self._deadline, self._emit = clock, stop, deadline, emit
        self._made: Network | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Network:
        if self._made is not None:  # asked several times a file
            return self._made
        from fallback.network import Network  # noqa: PLC0415 - a warm run loads no HTTP library

        with self._lock:
            if self._made is None:
                self._made = Network(
                    self._settings,
                    self._sources,
                    self._state,
                    self._clock,
                    self._stop.is_set,
                    over=self._over,
                    warn=lambda message: self._emit(Warned(message)),
                )
            return self._made

    def _over(self) -> bool:
        return self._stop.is_set() or (self._deadline is not None and self._clock.now() >= self._deadline)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
