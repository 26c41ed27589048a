"""What asking anybody takes: the sources, the transport, and the health that all workers share.

One `Network` is made when a run needs its first source; one that finds all files here makes none. The HTTP
library is loaded with the first request: what comes out of a stream needs none. Exclusions: who is asked,
and when, is `plan`'s to say.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fallback.exchange import is_public
from fallback.health import Health, Pause, carried
from fallback.race import AT_ONCE
from fallback.slots import Slots
from fallback.sources import in_order
from fallback.watchdog import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fallback.answer import Answer
    from fallback.clock import Clock
    from fallback.exchange import Request
    from fallback.outcome import Outcome
    from fallback.settings import Settings
    from fallback.sources import Named, Source
    from fallback.state import State
    from fallback.transport import Transport


DISCOVER_S = 1.5
"""For peers to answer that nobody has listed: one who has just told somebody else may wait for a second and a fifth."""


class Network:
    """Of one run: `sources` are those of the settings, unless others are given; when offline, none but a bundle.

    `over`: nobody is looked for any more; `warn` is told why nobody could be.
    """

    def __init__(
        self,
        settings: Settings,
        sources: tuple[Source, ...] | None,
        state: State,
        clock: Clock,
        stop: Callable[[], bool],
        *,
        over: Callable[[], bool] = lambda: False,
        warn: Callable[[str], None] = lambda _message: None,
    ) -> None:
        if sources is None:
            is_discovering = settings.discover and not settings.offline
            sources = in_order(settings, _found(over, warn) if is_discovering else ())
        if settings.offline:
            sources = tuple(each for each in sources if each.layer == "bundle")
        self.useless = dict(_useless(sources))
        """Why nothing at all can be had from a source, by its name: it is told once, and no file asks it."""
        for name, why in self.useless.items():
            warn(f"{name}: {why}")
        self.sources = tuple(each for each in sources if each.name not in self.useless)
        self.health = {
            name: carried(health, clock.now(), settings.max_wait_s)
            for name, health in state.health.load().items()
        }
        self._settings, self._state, self._clock, self._stop = settings, state, clock, stop
        self._transport: Transport | None = None
        self._lock, self._counting, self._noting = threading.Lock(), threading.Lock(), threading.Lock()
        self.received = 0
        """Bytes of files that have come so far, whoever they are for."""
        self.slots = Slots(settings.jobs)
        self.in_segments = threading.Lock()
        """Held by the one file that is fetched in segments: what is held in memory is bounded, and connections are."""
        at_once = AT_ONCE * settings.jobs + settings.connections
        self.askers = ThreadPoolExecutor(at_once * 2, thread_name_prefix="asking")
        """Threads that wait for an answer; twice what is under way at a time, for those that are shut take a moment."""
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeping")

    @property
    def transport(self) -> Transport:
        """What makes HTTP requests; made with the first."""
        from fallback.transport import Transport  # noqa: PLC0415 - see the module

        settings = self._settings
        with self._lock:
            if self._transport is None:
                self._transport = Transport(
                    connect_timeout_s=settings.connect_timeout_s,
                    timeout_s=settings.timeout_s,
                    connections=settings.jobs + settings.connections,
                    stop=self._stop,
                    ca_bundle=settings.ca_bundle,
                    is_public=(lambda _address: False) if settings.allow_private_redirects else is_public,
                )
            return self._transport

    def open(
        self,
        request: Request,
        *,
        min_rate_bytes_s: float,
        ends_in_s: float | None = None,
        is_shut: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """The answer to `request`, by HTTP or out of its stream; as `Transport.open`."""
        if request.stream is None:
            return self.transport.open(
                request, min_rate_bytes_s=min_rate_bytes_s, ends_in_s=ends_in_s, is_shut=is_shut
            )
        limits = Limits(
            self._settings.connect_timeout_s,
            self._settings.timeout_s,
            min_rate_bytes_s,
            None if ends_in_s is None else time.monotonic() + ends_in_s,
            lambda: self._stop() or is_shut(),
        )
        from fallback.stream_answer import opened  # noqa: PLC0415 - most sources are servers

        return opened(request.stream, request, limits)

    def arrived(self, count: int) -> None:
        """So many bytes of a file have come."""
        with self._counting:
            self.received += count

    def attempts_of(self, source: Named) -> int:
        """How often a file may ask this source."""
        is_one_of_many = source.layer in {"ipfs", "peer"}
        return self._settings.gateway_attempts if is_one_of_many else self._settings.hub_attempts

    def note(self, source: Named, outcome: Outcome, began: float, sha256: str | None) -> None:
        """Fold what came of an attempt into the health that all workers see and the next run reads."""
        jitter = random.random()  # noqa: S311 - spreads clients, keeps no secret
        pause = Pause(self._settings.backoff_s, self._settings.max_wait_s, self.attempts_of(source), jitter)
        with self._noting:
            before = self.health.get(source.name, Health())
            after = before.after(outcome, began=began, now=self._clock.now(), sha256=sha256, pause=pause)
            self.health[source.name] = after
        if after != before:
            # By another thread: who is asked in its place is not to wait for a disk, or for another process's write.
            self._keeper.submit(self._keep, source.name)

    def _keep(self, name: str) -> None:
        """In one thread, and what is newest: so no older record is written over a newer one."""
        self._state.health.save(name, self.health[name])

    def close(self) -> None:
        """Close the kept connections, once what is known of the sources is kept; whoever asked has ended by now."""
        self.askers.shutdown()
        self._keeper.shutdown()
        if self._transport is not None:
            self._transport.close()


def _useless(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    for bundle in (each for each in sources if each.layer == "bundle"):
        from fallback.bundles.source import InBundle  # noqa: PLC0415 - few runs have one

        if isinstance(bundle, InBundle) and (why := bundle.problem()) is not None:
            yield bundle.name, why


def _found(over: Callable[[], bool], warn: Callable[[str], None]) -> tuple[str, ...]:
    """Peers that answer by mDNS; without its extra or a network there are none (P11)."""
    try:
        from fallback.share.finding import found  # noqa: PLC0415 - few look for peers

        return found(DISCOVER_S, over)
    except ModuleNotFoundError as error:
        warn(f"discover: {error.name} is not installed: pip install 'fallback[lan]'")
    except OSError as error:
        warn(f"discover: no network can be asked for peers: {error.strerror or type(error).__name__}")
    return ()
