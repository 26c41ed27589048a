"""Ranges answered wrongly, files that change, URLs that expire: nothing is ever spliced, the hash decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import fault_from_dict as from_json
from fallback import sync
from tests.flow.told import ONNX, offsets, only, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event


def test_a_splice_of_two_sources_blames_nobody_and_is_then_avoided(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """One breaks off, the other is wrong in ranges only: after one mismatch bytes of two are not mixed again."""
    world.add("gateway1", from_json({"name": "truncate", "offset": 1_200_000}), path=ONNX, first=1)
    world.add("gateway1", from_json({"name": "status", "status": 500}), path=ONNX, nth=2)
    world.add("gateway2", from_json({"name": "other-file"}), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1, 2), observer=told.append).ok
    assert all_right()
    assert outcomes(told)[:3] == ["interrupted", "unavailable", "spliced"]
    assert outcomes(told).count("spliced") == 1
    assert outcomes(told)[-1] == "delivered"


def test_a_range_answered_with_everything_starts_from_zero(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Fault 70: 200 to a Range is never appended."""
    world.add("gateway1", from_json({"name": "truncate", "offset": 1_500_000}), path=ONNX, first=1)
    world.add("gateway1", from_json({"name": "range-ignored"}), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    assert outcomes(told) == ["interrupted", "delivered"]
    assert all_right()


def cut_then(world: World, fault: dict[str, Any]) -> None:
    world.add("gateway1", from_json({"name": "truncate", "offset": 1_500_000}), path=ONNX, first=1)
    world.add("gateway1", from_json(fault), path=ONNX, nth=2)


@pytest.mark.parametrize("honest", [True, False])
def test_a_206_from_a_wrong_place_is_never_spliced_in(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool], *, honest: bool
) -> None:
    """Fault 71, with one source alone: asked once more from zero, without Range."""
    cut_then(world, {"name": "wrong-start", "shift": 100, "honest": honest})
    told: list[Event] = []
    assert sync(manifest, settings=replace(only(settings, 1), gateway_attempts=3), observer=told.append).ok
    assert outcomes(told)[:2] == ["interrupted", "malformed" if honest else "spliced"]
    assert offsets(told)[-1] == ("ipfs", 0)
    assert all_right()


def test_a_416_for_bytes_that_are_missing_starts_from_zero(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Fault 26, with one source alone."""
    cut_then(world, {"name": "status", "status": 416})
    assert sync(manifest, settings=replace(only(settings, 1), gateway_attempts=3)).ok
    assert all_right()


@pytest.mark.parametrize("heeded", [True, False], ids=["if-range-heeded", "if-range-ignored"])
@pytest.mark.parametrize("tag", ["strong", "weak", "none"])
def test_a_file_that_changes_between_two_responses_is_never_spliced(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    tag: str,
    *,
    heeded: bool,
) -> None:
    """Faults 76-79, one source alone: half of an old version, cut; the right one from then on. Nobody is banned."""
    world.add("gateway1", from_json({"name": "changed"}), path=ONNX, first=1)
    if tag != "strong":
        world.add("gateway1", from_json({"name": "etag", "kind": tag}), path=ONNX)
    if not heeded:
        world.add("gateway1", from_json({"name": "if-range-ignored"}), path=ONNX)
    world.add("gateway1", from_json({"name": "truncate", "offset": 1_500_000}), path=ONNX, first=1)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    spliced = tag != "strong" or not heeded
    came = [outcome for outcome in outcomes(told) if outcome != "unreachable"]  # the Hub that is not there
    assert came == ["interrupted", *(["spliced"] if spliced else []), "delivered"]
    assert all_right()


@pytest.mark.fault(69)
def test_a_signed_url_that_expires_is_resolved_again(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Fault 69: 403 of the CDN on resuming; the original URL gives a new one, and the file goes on."""
    world.add("cdn", from_json({"name": "truncate", "offset": 1_500_000}), nth=1)
    world.add("cdn", from_json({"name": "expired-signature"}), nth=2)
    told: list[Event] = []
    hub = replace(settings, preferred_layer="huggingface", gateways=())
    assert sync(manifest, settings=hub, observer=told.append).ok
    assert [entry.range for entry in world.journal.select(server="cdn")] == [None, *["bytes=1500000-"] * 2]
    assert all_right()


@pytest.mark.fault(66)
def test_a_token_stays_with_the_hub(world: World, settings: Settings, manifest: Manifest) -> None:
    """Fault 66, P7: neither the CDN nor a gateway ever sees it, nor does any event."""
    told: list[Event] = []
    secret = "hf_secret"
    hub = replace(settings, preferred_layer="huggingface", hf_token=secret)
    assert sync(manifest, settings=hub, observer=told.append).ok
    seen = {entry.server for entry in world.journal.entries() if "authorization" in entry.headers}
    assert seen == {"hub"}
    assert world.journal.select(server="cdn")
    assert secret not in repr(told)
