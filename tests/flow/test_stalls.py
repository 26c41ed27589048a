"""Slow is a fault: whatever stands still or crawls ends within its window, and the file goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import fault_from_dict as from_json
from fallback import sync
from fallback.events import AttemptEnded, AttemptStarted
from tests.flow.told import ONNX, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event

TIMEOUT_S = 0.5
SLACK_S = 0.7
"""A tick of the watchdog, a busy machine, and the answer of the next source."""

BEFORE_A_BYTE: list[dict[str, Any]] = [
    {"name": "hang"},
    {"name": "accept-silent"},
    {"name": "header-stall"},
    {"name": "header-drip", "interval_s": 0.05},
    {"name": "informational-flood", "status": 100},
    {"name": "informational-flood", "status": 103},
]
IN_THE_BODY: list[dict[str, Any]] = [
    {"name": "stall", "offset": 0},
    {"name": "stall", "offset": 1_500_000},
    {"name": "stall", "offset": -1},
    {"name": "dribble", "bytes_per_s": 50, "offset": 1_500_000},
]


def named(fault: dict[str, Any]) -> str:
    return "-".join(map(str, fault.values()))


@pytest.mark.parametrize("fault", BEFORE_A_BYTE + IN_THE_BODY, ids=named)
def test_a_source_that_stands_still_is_left_within_its_window(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    fault: dict[str, Any],
) -> None:
    """Each attempt at it ends within timeout_s, and another source has the file soon after."""
    path = "*" if fault["name"].startswith("accept") else ONNX
    world.add("gateway1", from_json(fault), path=path)
    told: list[Event] = []
    assert sync(manifest, settings=replace(settings, min_rate_bytes_s=1000), observer=told.append).ok
    assert all_right()
    first = [
        event
        for event in told
        if isinstance(event, AttemptEnded) and event.source == host(world, 1) and event.path.endswith("onnx")
    ]
    assert first
    assert all(event.seconds < TIMEOUT_S + SLACK_S for event in first)
    assert {event.outcome for event in first} <= {"unavailable", "interrupted", "unreachable"}


@pytest.mark.parametrize("fault", IN_THE_BODY[1:], ids=named)
def test_what_had_come_before_a_stall_is_not_fetched_again(
    world: World, settings: Settings, manifest: Manifest, fault: dict[str, Any]
) -> None:
    world.add("gateway1", from_json(fault), path=ONNX, first=1)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    second = [event for event in told if isinstance(event, AttemptStarted) and event.path.endswith("onnx")][1]
    assert second.offset >= (2_999_999 if fault.get("offset") == -1 else 1_500_000)


def test_the_slowest_honest_source_is_not_killed(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """A little more than the minimum rate, for several windows, is enough."""
    rate = 100_000
    # Half as much again: a busy machine lets the fake fall behind what it was told.
    dribble = {"name": "dribble", "bytes_per_s": 1.5 * rate, "offset": 2_600_000}
    world.add("gateway1", from_json(dribble), path=ONNX)
    told: list[Event] = []
    patient = replace(settings, min_rate_bytes_s=rate, timeout_s=1.5)
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert outcomes(told) == ["delivered"]
    assert all_right()


def test_a_source_below_the_minimum_rate_is_left_for_another(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Half the minimum is too slow while there is another source."""
    rate = 200_000
    world.add(
        "gateway1", from_json({"name": "dribble", "bytes_per_s": rate / 2, "offset": 2_000_000}), path=ONNX
    )
    told: list[Event] = []
    assert sync(manifest, settings=replace(settings, min_rate_bytes_s=rate), observer=told.append).ok
    assert outcomes(told)[0] == "interrupted"
    assert all_right()


def test_the_last_source_may_be_slower(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Slow is better than none: nobody else is left, and a lower floor holds."""
    rate = 200_000
    world.add("hub", from_json({"name": "status", "status": 404}))
    world.add("gateway1", from_json({"name": "dribble", "bytes_per_s": rate, "offset": 2_800_000}), path=ONNX)
    told: list[Event] = []
    slow = replace(
        settings,
        gateways=settings.gateways[:1],
        preferred_layer="huggingface",
        min_rate_bytes_s=4 * rate,
        last_source_min_rate_bytes_s=rate / 4,
    )
    assert sync(manifest, settings=slow, observer=told.append).ok
    assert outcomes(told) == ["not_here", "delivered"]
    assert all_right()


def test_bursts_inside_the_window_are_no_stall(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Fault 58: silence shorter than the window, then bytes again."""
    for offset in (1_000_000, 2_000_000, 2_900_000):
        world.add("gateway1", from_json({"name": "stall", "offset": offset, "seconds": 0.3}), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert outcomes(told) == ["delivered"]
    assert all_right()


def test_an_endless_body_ends_at_the_promised_size(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """P3 and fault 52: what comes after the file's last byte is not read; no other source is needed."""
    world.add("gateway1", from_json({"name": "endless"}))
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert outcomes(told) == ["delivered"]
    assert all_right()


def host(world: World, number: int) -> str:
    return world.gateways[number - 1].removeprefix("http://")
