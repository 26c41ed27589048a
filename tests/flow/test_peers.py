"""Peers that lie, are slow, vanish, stall, or have something else: one good source is enough (P5), and never a wrong byte."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import fault_from_dict
from fakes.world import World
from fallback import Manifest, sync
from fallback.events import AttemptEnded, Blamed, FileCompleted
from tests.flow.conftest import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback import Settings
    from fallback.results import Summary

NOBODY = "http://127.0.0.1:9"
ONNX = "onnx/model.onnx"


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", peers=2) as world:
        yield world


def got(manifest: Manifest, settings: Settings) -> tuple[Summary, list[Any]]:
    told: list[Any] = []
    return sync(manifest, settings=settings, observer=told.append), told


FAULTS: dict[str, dict[str, Any]] = {
    "lies in one bit": {"name": "corrupt"},
    "lies in every byte": {"name": "other-file"},
    "lies when it is resumed": {"name": "corrupt-on-resume"},
    "is right at first": {"name": "good-start", "good": 1_500_000},
    "is slow": {"name": "dribble", "bytes_per_s": 100},
    "vanishes in the middle": {"name": "reset"},
    "was never there": {"name": "refused"},
    "takes no connection": {"name": "blackhole"},
    "stalls": {"name": "stall"},
    "says nothing": {"name": "hang"},
    "has nothing": {"name": "status", "status": 404},
    "is busy": {"name": "status", "status": 503, "retry_after": 1},
    "is broken": {"name": "status", "status": 500},
    "has a longer file": {"name": "other-size", "more": 10},
    "has a shorter file": {"name": "other-size", "more": -10},
    "has a file of another size, by its ranges": {"name": "other-total"},
    "gives the wrong part": {"name": "wrong-start"},
    "knows no ranges": {"name": "range-ignored"},
    "has no end": {"name": "endless"},
    "leads inside": {"name": "redirect", "location": "http://127.0.0.1:9/{path}"},
}


@pytest.mark.parametrize("good", ["peer", "gateway"])
@pytest.mark.parametrize("case", FAULTS)
def test_one_good_source_is_enough(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool], case: str, good: str
) -> None:
    """Whatever the first peer does, and whoever is the good one."""
    world.add("peer1", fault_from_dict(FAULTS[case]))
    settings = replace(
        settings,
        peers=tuple(world.peers if good == "peer" else world.peers[:1]),
        gateways=tuple(world.gateways[:1]) if good == "gateway" else (),
        hf_endpoint=NOBODY,
        patience_s=0.3,
    )
    summary, _told = got(manifest, settings)
    assert summary.ok, summary.failures
    assert all_right()


LIES = [name for name in FAULTS if name.startswith(("lies in", "is right", "has a", "leads", "stalls"))]


@pytest.mark.parametrize("case", LIES)
def test_alone_it_is_a_clean_failure(world: World, manifest: Manifest, settings: Settings, case: str) -> None:
    """P1: never a wrong byte under the final name, and no other host is asked."""
    world.add("peer1", fault_from_dict(FAULTS[case]), path=f"*{_sha256(world, ONNX)}")
    alone = replace(settings, peers=tuple(world.peers[:1]), gateways=(), hf_endpoint=NOBODY, hub_attempts=1)
    summary, _told = got(manifest, alone)
    assert [(failure.path, failure.storage) for failure in summary.failures] == [(ONNX, False)]
    assert not (settings.models_dir / "org/tiny" / ONNX).exists()
    assert {entry.server for entry in world.journal.entries()} == {"peer1"}


def test_who_lied_is_named_and_not_asked_for_that_file_again(
    world: World, settings: Settings, all_right: Callable[[], bool]
) -> None:
    """With chunks, a wrong one costs that chunk; the ban holds for the next run, too."""
    manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
    world.add(
        "peer1", fault_from_dict({"name": "corrupt", "offset": 2_500_000}), path=f"*{_sha256(world, ONNX)}"
    )
    settings = replace(settings, peers=tuple(world.peers))
    summary, told = got(manifest, settings)
    assert summary.ok
    assert all_right()
    name = world.peers[0].removeprefix("http://")
    assert [(event.layer, event.source, event.chunks) for event in told if isinstance(event, Blamed)] == [
        ("peer", name, 1)
    ]
    (settings.models_dir / "org/tiny" / ONNX).unlink()
    seen = len(world.journal.entries())
    assert got(manifest, settings)[0].ok
    assert {entry.server for entry in world.journal.entries()[seen:]} == {"peer2"}


def test_a_file_without_a_digest_is_not_asked_of_peers(world: World, settings: Settings) -> None:
    document = world.manifest(proofs=False)
    for file in document["tiny"]["files"].values():
        del file["sha256"]
    manifest = Manifest.parse(json.dumps(document), name="world", allow_missing_sha256=True)
    settings = replace(settings, peers=tuple(world.peers), unsafe_allow_missing_sha256=True)
    summary, _told = got(manifest, settings)
    assert [file.layer for file in summary.files] == ["ipfs"]
    assert not [entry for entry in world.journal.entries() if entry.server.startswith("peer")]


def test_what_a_peer_has_of_a_file_is_taken_and_the_rest_had_elsewhere(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    """It has the first two MiB: those are not fetched again."""
    sha256 = _sha256(world, ONNX)
    world.add(
        "peer1", fault_from_dict({"name": "short-range", "offset": 2 << 20}), path=f"*{sha256}", first=1
    )
    world.add("peer1", fault_from_dict({"name": "status", "status": 404}), path=f"*{sha256}", after=1)
    summary, told = got(manifest, replace(settings, peers=tuple(world.peers[:1])))
    assert summary.ok
    assert all_right()
    asked = [entry for entry in world.journal.entries() if sha256 in entry.path]
    assert [(entry.status, entry.server) for entry in asked] == [(206, "peer1"), (404, "peer1")]
    assert asked[0].bytes_sent == 2 << 20
    (resumed,) = [entry for entry in world.journal.entries() if entry.path.endswith(ONNX)]
    assert resumed.bytes_sent == 3_000_000 - (2 << 20)
    assert [event.layer for event in told if isinstance(event, FileCompleted) and event.path == ONNX] == [
        "ipfs"
    ]
    ended = [event.outcome for event in told if isinstance(event, AttemptEnded) and event.path == ONNX]
    assert ended == ["interrupted", "not_here", "delivered"]


def _sha256(world: World, path: str) -> str:
    return str(world.manifest()["tiny"]["files"][path]["sha256"])


def test_an_empty_file_is_one(settings: Settings) -> None:
    """No byte can be asked for by range, and none is needed."""
    models = {"tiny": {"dir": "org/tiny", "files": {"empty.bin": {"size": 0}}}}
    with World(models, size="full", peers=1) as near:
        manifest = Manifest.parse(json.dumps(near.manifest()), name="world")
        summary, _told = got(
            manifest, replace(settings, peers=tuple(near.peers), gateways=(), hf_endpoint=NOBODY)
        )
    assert [(file.layer, file.size) for file in summary.files] == [("peer", 0)]
