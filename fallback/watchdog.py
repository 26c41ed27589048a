"""Ends requests that do not move: one thread per process shuts their sockets.

A blocked `recv` sees no timeout when bytes trickle in, and a TLS handshake or a header that drips
sees none at all; so each exchange is under a `Watch`, and a `Watchdog` checks them all ten times a
second. Shutting the socket wakes whoever is blocked on it, and the watch says why. Exclusions: it
never reads, retries or judges; the window and the budgets are settings.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fallback.outcome import Interrupted, Unavailable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.outcome import Outcome

TICK_S = 0.1
"""How often watches are checked; DESIGN promises a deadline + 1 s (P4)."""

Phase = Literal["connect", "head", "body"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: seconds, bytes/s; `ends_at` on the monotonic clock."""

    connect_s: float
    quiet_s: float
    min_rate_bytes_s: float
    ends_at: float | None = None
    stop: Callable[[], bool] | None = None
    """Whether the run is to end now."""
    permitted: Callable[[str], bool] | None = None
    """Which addresses may be connected to; None: all."""


class Watch:
    """One exchange: its socket, its phase, and how many bytes have come in this phase."""

    def __init__(self, limits: Limits, host: str = "") -> None:
        self.limits = limits
        self.phase: Phase = "connect"
        self.killed: str | None = None
        self.broke: OSError | None = None
        """What ended the body before its end, if the connection did not just close."""
        self.status: int | None = None
        """Of the answer that came last, a proxy's too."""
        self.reused = False
        """The connection had served an answer before: it may have gone stale (fault 8)."""
        self.host, self.peer = host, ""
        """Whom the request is for, and the address at the other end; "" behind a proxy, which alone knows it."""
        self._since = time.monotonic()
        self._received = 0
        self._before = 0
        self._most: int | None = None
        self._samples: deque[tuple[float, int]] = deque()
        """Of the watchdog's thread; the reader's thread only ever puts a new one in its place."""
        self._left_at: float | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def attach(self, sock: socket.socket) -> None:
        """Watch this socket from now on, through a descriptor of our own: theirs may be detached by TLS."""
        own = socket.socket(fileno=os.dup(sock.fileno()))
        with self._lock:
            old, self._socket = self._socket, own
            if self.killed:
                _shut(own)
        if old is not None:
            old.close()

    def enter(self, phase: Phase) -> None:
        """A new phase begins, with a budget of its own."""
        if phase != self.phase:
            self.phase, self._since = phase, time.monotonic()
            self._before = self._received
            self._samples = deque()

    def reading(self) -> None:
        """The reader goes back to the socket. Time it spent on the disk is not the source's."""
        now = time.monotonic()
        if self._left_at is not None and now - self._left_at > 1:
            self._samples = deque()
            self._since = now
        self._left_at = None

    def received(self, count: int) -> None:
        """So many bytes have come, those of the head and of its framing too."""
        self._received += count
        self._left_at = time.monotonic()

    def allow(self, count: int) -> None:
        """In this phase so many bytes may come in all, those of the framing too."""
        self._most = self._before + count

    @property
    def is_flooded(self) -> bool:
        """Whether more has come than is allowed."""
        return self._most is not None and self._received > self._most

    def check(self, now: float) -> None:
        """Kill the exchange if it has outlived one of its limits."""
        limits = self.limits
        if limits.stop is not None and limits.stop():
            self.kill("stopped")
        elif limits.ends_at is not None and now >= limits.ends_at:
            self.kill("the deadline has passed")
        elif self.phase == "connect" and now - self._since > limits.connect_s:
            self.kill(f"no connection within {limits.connect_s:g} s")
        elif self.phase == "head" and now - self._since > limits.quiet_s:
            self.kill(f"no answer within {limits.quiet_s:g} s")
        elif self.phase == "body" and self._left_at is None:
            self._check_rate(now)

    def _check_rate(self, now: float) -> None:
        limits, samples = self.limits, self._samples
        while samples and samples[0][0] < now - limits.quiet_s - TICK_S:
            samples.popleft()
        gained = self._received - samples[0][1] if samples else 0
        samples.append((now, self._received))
        if now - self._since > limits.quiet_s and gained < max(1, limits.min_rate_bytes_s * limits.quiet_s):
            self.kill(f"too slow: {gained} bytes in {limits.quiet_s:g} s")

    def kill(self, why: str) -> None:
        """Shut the socket, whoever is blocked on it; only the first reason counts."""
        with self._lock:
            self.killed = self.killed or why
            if self._socket is not None:
                _shut(self._socket)

    def close(self) -> None:
        """The exchange is over."""
        with self._lock:
            own, self._socket = self._socket, None
        if own is not None:
            own.close()


def killed(watch: Watch) -> Outcome:
    """What it means that the watchdog ended the exchange."""
    why = watch.killed or ""
    phase: Phase = watch.phase
    if phase == "connect":
        return Unreachable(why)
    return Unavailable(why, timed_out=True) if phase == "head" else Interrupted(why, stalled=True)


class Watchdog:
    """Checks all watches; its thread begins with the first and sleeps while there is none.

    Nothing may end that thread, for nobody would miss it: an exchange whose check fails is killed, and the others are
    checked on.
    """

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._soon = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, limits: Limits, host: str = "") -> Watch:
        """Put a new exchange with `host` under watch until `release`."""
        watch = Watch(limits, host)
        with self._lock:
            self._watches.add(watch)
            self._some.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fallback-watchdog", daemon=True)
                self._thread.start()
        return watch

    def release(self, watch: Watch) -> None:
        """Stop watching."""
        with self._lock:
            self._watches.discard(watch)
            if not self._watches:
                self._some.clear()
        watch.close()

    def look(self) -> None:
        """Check all of them now, and not at the next tick: one of them has just been given up, and is waited for."""
        self._soon.set()

    def _run(self) -> None:
        while True:
            self._some.wait()
            with self._lock:
                watches = tuple(self._watches)
            now = time.monotonic()
            for watch in watches:
                try:
                    watch.check(now)
                except Exception as error:  # noqa: BLE001 - whatever it is: what cannot be checked must not hang
                    watch.kill(f"it could not be watched: {type(error).__name__}")
            # Not time.sleep, which is a system call that can fail: a lock's timeout cannot.
            self._soon.wait(TICK_S)
            self._soon.clear()


WATCHDOG = Watchdog()
"""The process's one watchdog (DESIGN, "Slow is a fault")."""

# A fork has no threads but one, and may have caught the lock held: the child begins with a dog of its own.
os.register_at_fork(after_in_child=WATCHDOG.__init__)  # type: ignore[misc]


def _shut(sock: socket.socket) -> None:
    # Not connected, or gone already: then nobody is blocked on it either.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
