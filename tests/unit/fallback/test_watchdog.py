"""Watches with time as a parameter; one test with the real thread."""

from __future__ import annotations

import os
import socket
from collections import deque

import pytest

from fallback import watchdog
from fallback.watchdog import Limits, Watch, Watchdog

LIMITS = Limits(connect_s=5, quiet_s=30, min_rate_bytes_s=1000)


class Time:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(watchdog, "time", clock)
    return clock


def run(watch: Watch, time: Time, seconds: float, *, bytes_s: float = 0, every_s: float = 0.1) -> None:
    """So much time goes by; `bytes_s` come, in receives `every_s` apart."""
    due = every_s
    for tick in range(round(seconds / 0.1)):
        time.now += 0.1
        if bytes_s and (tick + 1) * 0.1 >= due - 1e-9:
            watch.received(round(bytes_s * every_s))
            watch.reading()
            due += every_s
        watch.check(time.now)


def body(limits: Limits = LIMITS) -> Watch:
    watch = Watch(limits)
    watch.enter("body")
    watch.reading()
    return watch


@pytest.mark.parametrize(
    ("phase", "seconds", "why"),
    [
        ("connect", 5, "no connection within 5 s"),
        ("head", 30, "no answer within 30 s"),
        ("body", 30, "too slow: 0 bytes in 30 s"),
    ],
)
def test_each_phase_has_its_budget(time: Time, phase: watchdog.Phase, seconds: float, why: str) -> None:
    watch = Watch(LIMITS)
    watch.enter(phase)
    run(watch, time, seconds - 0.5)
    assert watch.killed is None
    run(watch, time, 1)
    assert watch.killed == why


def test_a_phase_begins_with_a_new_budget(time: Time) -> None:
    watch = Watch(LIMITS)
    run(watch, time, 4)
    watch.enter("head")
    run(watch, time, 29)
    watch.enter("head")  # again: no new budget
    run(watch, time, 2)
    assert watch.killed == "no answer within 30 s"


def test_headers_that_drip_are_no_progress(time: Time) -> None:
    watch = Watch(LIMITS)
    watch.enter("head")
    run(watch, time, 31, bytes_s=10_000)
    assert watch.killed == "no answer within 30 s"


@pytest.mark.parametrize("every_s", [0.1, 1.0, 14.9])
def test_the_slowest_honest_source_is_not_killed(time: Time, every_s: float) -> None:
    """1.2 times the minimum rate, in bursts inside the window too."""
    watch = body()
    run(watch, time, 200, bytes_s=2000 if every_s > 10 else 1200, every_s=every_s)
    assert watch.killed is None


def test_below_the_minimum_rate_it_ends(time: Time) -> None:
    watch = body()
    run(watch, time, 31, bytes_s=800)
    assert watch.killed is not None
    assert watch.killed.startswith("too slow")


def test_without_a_minimum_rate_silence_is_still_a_fault(time: Time) -> None:
    """`timeout_s`: no progress for so long ends an attempt."""
    watch = body(Limits(connect_s=5, quiet_s=30, min_rate_bytes_s=0))
    run(watch, time, 100, bytes_s=1, every_s=1)
    assert watch.killed is None
    run(watch, time, 31)
    assert watch.killed is not None


def test_what_came_before_the_window_does_not_count(time: Time) -> None:
    watch = body()
    run(watch, time, 10, bytes_s=10_000_000)
    run(watch, time, 29)
    assert watch.killed is None
    run(watch, time, 2)
    assert watch.killed is not None


def test_time_spent_on_our_disk_is_not_the_source_s(time: Time) -> None:
    watch = body()
    run(watch, time, 5, bytes_s=5000)
    watch.received(1000)
    run(watch, time, 100)  # writing
    assert watch.killed is None
    watch.reading()
    run(watch, time, 29)
    assert watch.killed is None


def test_the_deadline_is_a_cap_on_all_phases(time: Time) -> None:
    watch = body(Limits(5, 30, 1000, ends_at=time.now + 1))
    run(watch, time, 1.2, bytes_s=10_000)
    assert watch.killed == "the deadline has passed"


def test_only_the_first_reason_counts(time: Time) -> None:
    watch = body(Limits(5, 30, 1000, stop=lambda: True))
    watch.check(time.now)
    watch.kill("later")
    assert watch.killed == "stopped"


def test_who_is_killed_before_it_has_a_socket_gets_it_shut() -> None:
    ours, theirs = socket.socketpair()
    watch = Watch(LIMITS)
    watch.kill("stopped")
    watch.attach(ours)
    assert theirs.recv(1) == b""
    watch.close()
    ours.close()
    theirs.close()


def test_a_forked_child_has_a_dog_of_its_own() -> None:
    """Threads do not survive a fork: without it, nothing would ever end a request there (P4)."""
    first = watchdog.WATCHDOG.watch(
        LIMITS
    )  # the parent's thread runs, and its watch is no business of the child's
    child = os.fork()
    if child == 0:  # pragma: no cover - its coverage ends with it
        ours, theirs = socket.socketpair()
        watch = watchdog.WATCHDOG.watch(Limits(connect_s=0.1, quiet_s=30, min_rate_bytes_s=1))
        watch.attach(ours)
        theirs.settimeout(0)
        ours.settimeout(5)
        try:
            os._exit(0 if ours.recv(1) == b"" else 1)
        finally:
            os._exit(1)
    watchdog.WATCHDOG.release(first)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_thread_wakes_whoever_is_blocked() -> None:
    dog = Watchdog()
    ours, theirs = socket.socketpair()
    watch = dog.watch(Limits(connect_s=0.1, quiet_s=30, min_rate_bytes_s=1))
    watch.attach(ours)
    assert ours.recv(1) == b""
    assert watch.killed == "no connection within 0.1 s"
    dog.release(watch)
    ours.close()
    theirs.close()


def test_an_exchange_that_cannot_be_checked_ends_and_the_others_are_watched_on() -> None:
    """The thread would be dead else, and every later request without a limit."""

    def broken() -> bool:
        raise RuntimeError("wrong in here")

    dog = Watchdog()
    bad = dog.watch(Limits(connect_s=30, quiet_s=30, min_rate_bytes_s=1, stop=broken))
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    good = dog.watch(Limits(connect_s=0.3, quiet_s=30, min_rate_bytes_s=1))
    good.attach(ours)
    assert ours.recv(1) == b""
    assert bad.killed == "it could not be watched: RuntimeError"
    for watch in (bad, good):
        dog.release(watch)
    ours.close()
    theirs.close()


def test_a_reader_that_begins_anew_in_the_middle_of_a_check_does_not_disturb_it(time: Time) -> None:
    """Two threads: the reader's forgets the samples while the watchdog's looks at them."""
    watch = body()
    run(watch, time, 2, bytes_s=5000)

    class Between(deque[tuple[float, int]]):
        def __bool__(self) -> bool:
            some = len(self) > 0
            watch.enter("head")
            watch.enter("body")
            return some

    watch._samples = Between(watch._samples)
    watch.check(time.now)
    assert watch.killed is None
