"""Who keeps us waiting is not waited for alone: the next source is asked beside it, and the first to begin has the file."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, Hang, HeaderStall, Stall
from fallback import StoppedError, sync, watchdog
from fallback.events import AttemptEnded, AttemptStarted, FileCompleted
from fallback.network import Network
from tests.flow.told import ONNX, only

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.faults import Fault
    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event
    from fallback.transport import Transport

PATIENCE_S = 0.4


@pytest.fixture(name="patient")
def _patient(settings: Settings) -> Settings:
    """Whoever is silent would cost much more than this test takes, if he were waited for; one file at a time."""
    return replace(settings, timeout_s=20, patience_s=PATIENCE_S, backoff_s=0.5, jobs=1)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    """No thread that asks outlives its run."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asking")]


def host(url: str) -> str:
    return url.removeprefix("http://")


def ended(told: list[Event], path: str = "onnx/model.onnx") -> list[tuple[str, str]]:
    """(source, outcome) of each attempt at the file, as they ended; but for those that were outrun.

    On a busy machine a good source may take longer than the patience here, and one more is asked beside it.
    """
    return [
        (each.source, each.outcome)
        for each in told
        if isinstance(each, AttemptEnded) and each.path == path and each.outcome != "outrun"
    ]


def most_at_a_time(told: list[Event]) -> int:
    """The most sources that were asked for one file at the same time."""
    most = 0
    open_: set[tuple[str, str]] = set()
    for each in told:
        if isinstance(each, AttemptStarted):
            open_.add((each.path, each.source))
            most = max(most, sum(path == each.path for path, _ in open_))
        if isinstance(each, AttemptEnded):
            open_.discard((each.path, each.source))
    return most


@pytest.mark.parametrize(
    "fault", [Hang(), HeaderStall(offset=20), Stall(offset=0)], ids=["silent", "half a head", "no body"]
)
def test_a_silent_gateway_delays_the_first_file_once(
    world: World, patient: Settings, manifest: Manifest, all_right: Callable[[], bool], fault: Fault
) -> None:
    """And the other one not at all, though the pause of what was silent has passed by then."""
    world.add("gateway1", fault)
    told: list[Event] = []
    began = time.monotonic()
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert time.monotonic() - began < patient.timeout_s / 2
    assert all_right()
    first, second = (host(url) for url in world.gateways[:2])
    assert ended(told) == [(first, "unavailable"), (second, "delivered")]
    assert ended(told, "config.json") == [(second, "delivered")]
    assert len(world.journal.select(server="gateway1")) == 1
    assert most_at_a_time(told) == 2


def test_what_loading_takes_is_nobodys_silence(
    world: World, patient: Settings, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library is loaded with the first request; on a slow disk that takes longer than a source has."""
    loaded = threading.Event()
    quick: Callable[[Network], Transport] = vars(Network)["transport"].fget

    def slow(network: Network) -> Transport:
        if not loaded.is_set():
            time.sleep(1.2)
            loaded.set()
        return quick(network)

    monkeypatch.setattr(Network, "transport", property(slow))
    told: list[Event] = []
    assert sync(manifest, settings=replace(patient, patience_s=1.0), observer=told.append).ok
    assert {each.source for each in told if isinstance(each, AttemptStarted)} == {host(world.gateways[0])}


def test_three_are_silent_and_the_fourth_has_it(
    world: World, patient: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """In the order of the plan, two at a time at most."""
    for name in ("gateway1", "gateway2", "gateway3"):
        world.add(name, Hang())
    told: list[Event] = []
    began = time.monotonic()
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert 3 * PATIENCE_S <= time.monotonic() - began < patient.timeout_s / 2
    assert all_right()
    sources = [host(url) for url in world.gateways]
    assert ended(told) == [(each, "unavailable") for each in sources[:3]] + [(sources[3], "delivered")]
    assert ended(told, "config.json") == [(sources[3], "delivered")]
    assert most_at_a_time(told) == 2


def test_who_is_shut_is_not_waited_for(
    world: World, patient: Settings, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However seldom it is looked whether exchanges still move."""
    world.add("gateway1", Hang())
    monkeypatch.setattr(watchdog, "TICK_S", 10.0)
    watchdog.WATCHDOG.look()  # from now on
    try:
        began = time.monotonic()
        assert sync(manifest, settings=patient).ok
        assert time.monotonic() - began < 8
    finally:
        monkeypatch.undo()
        watchdog.WATCHDOG.look()


def test_who_begins_late_but_first_has_it(
    world: World, patient: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """The one that was asked beside it has done nothing wrong, and nothing is held against it."""
    world.add("gateway1", Hang(seconds=PATIENCE_S + 0.3), path=ONNX)
    world.add("gateway2", Hang(), path=ONNX)
    slow = replace(patient, patience_s=PATIENCE_S + 0.1)
    told: list[Event] = []
    assert sync(manifest, settings=slow, observer=told.append).ok
    assert all_right()
    first, second = (host(url) for url in world.gateways[:2])
    assert ended(told) == [(first, "delivered")]
    (lost,) = [each for each in told if isinstance(each, AttemptEnded) and each.outcome == "outrun"]
    assert lost.source == second


def test_a_loser_s_bytes_are_never_written(
    world: World, patient: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Neither those that are wrong nor those that come later: what was received is the file, from one source."""
    world.add("gateway1", Corrupt(fraction=1.0), path=ONNX)
    world.add("gateway1", Hang(seconds=PATIENCE_S + 0.2), path=ONNX)
    world.add("gateway2", Stall(offset=1_000_000, seconds=0.5), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert all_right()
    first, second = (host(url) for url in world.gateways[:2])
    assert ended(told) == [(first, "unavailable"), (second, "delivered")]
    (file,) = [each for each in told if isinstance(each, FileCompleted) and each.path.endswith("onnx")]
    assert (file.source, file.bytes_received) == (second, 3_000_000)


def test_one_that_refuses_makes_room_for_the_next_at_once(
    world: World, patient: Settings, manifest: Manifest
) -> None:
    from fakes.faults import Status

    world.add("gateway1", Hang())
    world.add("gateway2", Status(404))
    told: list[Event] = []
    assert sync(manifest, settings=replace(patient, patience_s=2), observer=told.append).ok
    sources = [host(url) for url in world.gateways]
    assert ended(told) == [
        (sources[1], "not_here"),
        (sources[0], "unavailable"),
        (sources[2], "delivered"),
    ]
    starts = [each for each in world.journal.entries() if each.path.endswith("onnx")]
    assert starts[2].time - starts[1].time < 2


def test_the_last_source_is_waited_for_alone(world: World, patient: Settings, manifest: Manifest) -> None:
    """Nobody is asked beside it; it ends as it would have."""
    world.add("gateway1", Hang(seconds=3 * PATIENCE_S), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=only(patient, 1), observer=told.append).ok
    onnx = [each for each in ended(told) if each[1] != "unreachable"]
    assert onnx == [(host(world.gateways[0]), "delivered")]


def test_a_run_that_is_stopped_ends_all_that_are_asked(
    world: World, patient: Settings, manifest: Manifest
) -> None:
    world.add("*", Hang())
    stop = threading.Event()
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        if sum(isinstance(each, AttemptStarted) for each in told) == 2:
            stop.set()

    began = time.monotonic()
    with pytest.raises(StoppedError):
        sync(manifest, settings=patient, observer=observer, stop=stop)
    assert time.monotonic() - began < patient.timeout_s / 4
    starts = [each.source for each in told if isinstance(each, AttemptStarted)]
    ends = [each for each in told if isinstance(each, AttemptEnded)]
    assert sorted(each.source for each in ends) == sorted(starts)
    assert {(each.outcome, each.reason) for each in ends} == {("interrupted", "stopped")}


def test_a_deadline_ends_all_that_are_asked(world: World, patient: Settings, manifest: Manifest) -> None:
    """P4."""
    world.add("*", Hang())
    began = time.monotonic()
    told: list[Event] = []
    summary = sync(manifest, settings=replace(patient, deadline_s=1.0), observer=told.append)
    assert time.monotonic() - began < 1 + 1
    assert len(summary.failures) == 2
    assert most_at_a_time(told) == 2


def test_a_part_is_raced_for_as_a_whole_is(
    world: World, patient: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """What had come stays: the one asked beside goes on behind it."""
    from fakes.faults import Truncate

    world.add("gateway1", Hang(), path=ONNX, after=1)
    world.add("gateway1", Truncate(offset=1_500_000), path=ONNX, first=1)
    told: list[Event] = []
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert all_right()
    first, second = (host(url) for url in world.gateways[:2])
    assert ended(told) == [(first, "interrupted"), (first, "unavailable"), (second, "delivered")]
    (resumed,) = [
        each
        for each in told
        if isinstance(each, AttemptStarted) and each.source == second and each.path.endswith("onnx")
    ]
    assert resumed.offset == 1_500_000
