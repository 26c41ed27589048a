"""Gateways that give blocks and no files: they are read as CARs, and every block is proven before it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import (
    CarCut,
    CarDuplicateBlock,
    CarGiantLength,
    CarHugeBlock,
    CarMissingBlock,
    CarReordered,
    CarRoots,
    CarV2,
    CarWrongBlock,
    Status,
    Truncate,
)
from fakes.world import World
from fallback import Manifest, sync
from fallback.events import AttemptEnded, Blamed
from tests.flow.conftest import models_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.faults import Fault
    from fallback import Settings
    from fallback.events import Event

SIZE = 8_500_000
MODELS = models_of({"onnx/model.onnx": SIZE, "onnx/ä b.json": 900, "empty": 0})
ONNX = "*model.onnx"


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=2, gateway_modes={"gateway1": "trustless"}) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, settings: Settings) -> Settings:
    """The trustless gateway is the only source."""
    return replace(settings, gateways=(world.gateways[0],), hf_endpoint="http://127.0.0.1:9", jobs=1)


def outcomes(told: list[Event]) -> list[str]:
    return [event.outcome for event in told if isinstance(event, AttemptEnded)]


def test_it_is_used_as_any_other(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """One 406 tells it of all files, in this run and the next; a CAR is no larger than its file and a little more."""
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert sorted(outcomes(told)) == ["blocks_only", "delivered", "delivered", "delivered"]
    [_, *cars] = world.journal.select(server="gateway1")
    assert all("format=car" in entry.query for entry in cars)
    assert all("application/vnd.ipld.car" in entry.headers["accept"] for entry in cars)
    assert sum(entry.bytes_sent for entry in cars) < SIZE + 10_000
    (settings.models_dir / "org/large/empty").unlink()
    told.clear()
    assert sync(proven, settings=settings, observer=told.append).ok
    assert outcomes(told) == ["delivered"]


def test_without_any_proof_but_the_folders_cid(
    world: World, settings: Settings, all_right: Callable[[], bool]
) -> None:
    assert sync(Manifest.parse(json.dumps(world.manifest(proofs=False)), name="bare"), settings=settings).ok
    assert all_right()


def test_a_cut_is_resumed_by_bytes(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """`entity-bytes` is to a CAR what Range is to a file; what was proven is not sent again."""
    world.add("gateway1", Truncate(offset=5_000_000), path=ONNX, nth=2)
    assert sync(proven, settings=settings).ok
    assert all_right()
    queries = [entry.query for entry in world.journal.select(path=ONNX) if entry.status == 200]
    assert len(queries) == 2
    assert "entity-bytes" not in queries[0]
    # urllib3 drops what it holds of a chunked body that is cut: one piece at most.
    assert any(f"entity-bytes={chunk << 20}:*" in queries[1] for chunk in (3, 4))


def test_a_file_begun_elsewhere_is_finished_there(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """Any byte may be where it goes on, not only that of a chunk."""
    world.add("gateway2", Truncate(offset=5_000_000), path=ONNX, nth=1)
    world.add("gateway2", Status(404), path=ONNX, nth=2)
    both = replace(settings, gateways=(world.gateways[1], world.gateways[0]))
    assert sync(proven, settings=both).ok
    assert all_right()
    [_, car] = world.journal.select(server="gateway1", path=ONNX)
    assert "entity-bytes=5000000:*" in car.query


def test_a_cid_of_other_bytes_is_nobodys_fault(world: World, settings: Settings) -> None:
    """The gateway proves what it sends: the manifest contradicts itself, and nobody is banned."""
    document = world.manifest(proofs=False)
    document["large"]["files"]["onnx/model.onnx"]["sha256"] = "0" * 64
    told: list[Event] = []
    summary = sync(
        Manifest.parse(json.dumps(document), name="wrong"), settings=settings, observer=told.append
    )
    [failure] = summary.failures
    assert "not those of the manifest" in failure.error
    assert "corrupt" not in outcomes(told)


CAR_FAULTS = [
    CarCut(block=3),
    CarCut(block=3, inside=True),
    CarCut(block=3, inside=True, close=True),
    CarWrongBlock(block=4),
    CarMissingBlock(block=4),
    CarHugeBlock(block=4),
    CarV2(),
    CarGiantLength(block=4),
]


@pytest.mark.parametrize("fault", CAR_FAULTS, ids=str)
def test_a_fault_of_a_car_is_found_and_another_source_finishes(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool], fault: Fault
) -> None:
    """No wrong byte is written; what was proven before it is kept; a wrong block has its sender's name."""
    world.add("gateway1", fault, path=ONNX)
    both = replace(settings, gateways=tuple(world.gateways))
    told: list[Event] = []
    assert sync(proven, settings=both, observer=told.append).ok
    assert all_right()
    assert outcomes(told)[-1] == "delivered"
    blamed = [event.source for event in told if isinstance(event, Blamed)]
    assert blamed == ([world.gateways[0].partition("//")[2]] if isinstance(fault, CarWrongBlock) else [])


@pytest.mark.parametrize("fault", [CarDuplicateBlock(block=2), CarReordered(), CarRoots()], ids=str)
def test_what_is_only_odd_in_a_car_is_of_no_account(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool], fault: Fault
) -> None:
    """Blocks prove themselves, whatever their order and whatever the header says."""
    world.add("gateway1", fault, path=ONNX)
    assert sync(proven, settings=settings).ok
    assert all_right()


@pytest.mark.parametrize("fault", CAR_FAULTS, ids=str)
def test_a_faulty_car_alone_is_a_clean_failure(
    world: World, settings: Settings, proven: Manifest, fault: Fault
) -> None:
    """In a bounded number of requests."""
    world.add("gateway1", fault, path=ONNX)
    summary = sync(proven, settings=settings)
    assert "large/onnx/model.onnx" in {f"{failure.model}/{failure.path}" for failure in summary.failures}
    assert not (settings.models_dir / "org/large/onnx/model.onnx").exists()
    assert len(world.journal.select(path=ONNX)) <= 12
