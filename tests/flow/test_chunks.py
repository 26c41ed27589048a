"""A wrong chunk costs that chunk: it is fetched again from somebody else, and whoever sent it is named and banned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import Corrupt, Hole, OtherFile, RangeIgnored, Status, Truncate
from fakes.world import World
from fallback import Manifest, sync
from fallback.events import AttemptEnded, AttemptStarted, Blamed
from fallback.ipfs.cid import SHA2_256
from fallback.manifest import CHUNK_BYTES
from fallback.state import State
from tests.flow.conftest import models_of, settings_of
from tests.flow.told import only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.gateway import Mode
    from fallback import Settings
    from fallback.events import Event

SIZE = 8_500_000
CHUNKS = 9
PATH = "model.onnx"
MODELS = models_of({PATH: SIZE})


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="bare")
def _bare(world: World) -> Manifest:
    """Without chunks, and without the CID that would prove some."""
    document = world.manifest(proofs=False)
    del document["large"]["ipfs"]
    return Manifest.parse(json.dumps(document), name="world")


@pytest.fixture(name="by_hub")
def _by_hub(settings: Settings) -> Settings:
    return replace(settings, gateways=())


def sent(world: World) -> int:
    """Bytes of the file that were sent, over all servers."""
    return sum(entry.bytes_sent for entry in world.journal.entries() if entry.status in {200, 206})


def blamed(told: list[Event]) -> list[tuple[str, int, bool]]:
    return [(event.source, event.chunks, event.earlier) for event in told if isinstance(event, Blamed)]


def host(url: str) -> str:
    return url.partition("//")[2]


def bans(settings: Settings) -> set[str]:
    with State(settings.state_path, print) as state:
        return {source for source, health in state.health.load().items() if health.bans}


def test_one_wrong_byte_costs_one_chunk(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """The next source is asked for that MiB and no other byte; the sender is banned for this file."""
    world.add("gateway1", Corrupt(offset=3 * CHUNK_BYTES + 17))
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert blamed(told) == [(host(world.gateways[0]), 1, False)]
    [repair] = world.journal.select(server="gateway2")
    assert repair.range == f"bytes={3 * CHUNK_BYTES}-{4 * CHUNK_BYTES - 1}"
    assert sent(world) == SIZE + CHUNK_BYTES
    assert bans(settings) == {host(world.gateways[0])}


def test_the_first_chunk_is_refused_after_a_mib(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    world.add("gateway1", Corrupt(offset=17))
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    [ended, _] = [event for event in told if isinstance(event, AttemptEnded)]
    assert ended.outcome == "corrupt"
    assert CHUNK_BYTES <= ended.bytes_received <= 2 * CHUNK_BYTES
    assert blamed(told) == [(host(world.gateways[0]), 1, False)]


def test_the_one_source_there_is_mends_what_it_spoiled(
    world: World, by_hub: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """HuggingFace alone, with a bit that flipped on the way: a MiB more, and not the file again."""
    world.add("cdn", Corrupt(offset=3 * CHUNK_BYTES + 17), first=1)
    assert sync(proven, settings=by_hub).ok
    assert all_right()
    assert sent(world) == SIZE + CHUNK_BYTES


def test_a_chunk_that_nobody_has_right_is_a_clean_failure(
    world: World, settings: Settings, proven: Manifest
) -> None:
    """Each is asked for that chunk, and once more in the end; every one is named."""
    for server in ("gateway[1234]", "cdn"):
        world.add(server, Corrupt(offset=3 * CHUNK_BYTES + 17))
    told: list[Event] = []
    summary = sync(proven, settings=settings, observer=told.append)
    [failure] = summary.failures
    assert all("wrong" in reason for _, reason in failure.reasons)
    assert {source for source, _, _ in blamed(told)} == {source for source, _ in failure.reasons}
    assert sent(world) <= SIZE + 9 * CHUNK_BYTES
    assert not (settings.models_dir / "org/large" / PATH).exists()


def test_a_poisoned_start_is_not_the_honest_finishers_fault(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """Gateway 1 sends wrong bytes and breaks off, gateway 2 goes on: the chunks say whose they are."""
    world.add("gateway1", Hole(offset=2 * CHUNK_BYTES + 9, length=CHUNK_BYTES))
    world.add("gateway1", Truncate(offset=5_000_000), nth=1)
    world.add("gateway1", Status(404), nth=2)
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert blamed(told) == [(host(world.gateways[0]), 2, True)]
    assert bans(settings) == {host(world.gateways[0])}
    assert sent(world) == SIZE + 2 * CHUNK_BYTES
    [_, mended] = world.journal.select(server="gateway2")
    assert mended.range == f"bytes={2 * CHUNK_BYTES}-{4 * CHUNK_BYTES - 1}"


def test_a_chunk_that_two_wrote_is_nobodys(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """The cut is in the wrong chunk: it is fetched again, and nobody is accused."""
    world.add("gateway1", Corrupt(offset=3 * CHUNK_BYTES + 17))
    world.add("gateway1", Truncate(offset=3 * CHUNK_BYTES + 1000), nth=1)
    world.add("gateway1", Status(404), nth=2)
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert not blamed(told)
    assert not bans(settings)
    assert sent(world) == SIZE + CHUNK_BYTES


def test_an_honest_end_of_a_file_is_not_blamed_for_its_start(tmp_path: Path) -> None:
    """The first chunk is proven on the way: what came in the same piece behind it was not looked at, and is kept."""
    models = {"small": {**MODELS["large"], "files": {PATH: {"size": CHUNK_BYTES + 20_000}}}}
    with World(models, size="full", gateways=2) as world:
        world.add("gateway1", Corrupt(offset=17))
        world.add("gateway1", Truncate(offset=900_000), nth=1)
        world.add("gateway1", Status(404), nth=2)
        told: list[Event] = []
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        settings = settings_of(world, tmp_path)
        assert sync(manifest, settings=settings, observer=told.append).ok
        assert not blamed(told)
        assert not bans(settings)
        assert sent(world) == 2 * CHUNK_BYTES + 20_000


def test_what_boxo_says_inside_a_body_is_not_kept(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """A gateway that cannot find the next block writes a sentence into the file, and resets: a chunk, and nobody's fault."""
    digest = bytes.fromhex(proven.models[0].files[0].chunks[3])
    del world.blocks._blocks[SHA2_256, digest]
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert not blamed(told)
    assert not bans(settings)
    assert sent(world) <= SIZE + 2 * CHUNK_BYTES


def test_wrong_chunks_far_apart_are_asked_for_one_by_one(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """And what came right of them stays right when the next source fails in its turn."""
    for at in (2, 5, 8):
        world.add("gateway1", Corrupt(offset=at * CHUNK_BYTES))
    world.add("gateway2", Corrupt(offset=5 * CHUNK_BYTES))
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert blamed(told) == [(host(world.gateways[0]), 3, False), (host(world.gateways[1]), 1, False)]
    outcomes = [event.outcome for event in told if isinstance(event, AttemptEnded)]
    assert outcomes == ["corrupt", "part_delivered", "corrupt", "part_delivered", "delivered"]
    last = SIZE - 8 * CHUNK_BYTES
    assert sent(world) == SIZE + 3 * CHUNK_BYTES + last


def test_every_chunk_of_one_gateway_is_wrong(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """But for the first, which would have ended it: they are neighbours, and one request gets them."""
    world.add("gateway1", Hole(offset=CHUNK_BYTES, length=SIZE))
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert blamed(told) == [(host(world.gateways[0]), CHUNKS - 1, False)]
    assert len(world.journal.select(server="gateway2")) == 1


def test_a_source_that_ignores_range_is_of_use(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """Its whole body comes by, and the wrong chunk alone is taken out of it."""
    world.add("gateway1", Corrupt(offset=3 * CHUNK_BYTES + 17))
    world.add("gateway2", RangeIgnored())
    [file] = sync(proven, settings=settings).files
    assert all_right()
    assert file.bytes_received <= SIZE + 5 * CHUNK_BYTES


def test_a_list_is_kept_of_every_file_that_was_proven(
    world: World, by_hub: Settings, all_right: Callable[[], bool], proven: Manifest, bare: Manifest
) -> None:
    """A manifest without chunks: the first sync computes them on the way, and the next repair needs them."""
    assert sync(bare, settings=by_hub).ok
    [file] = proven.models[0].files
    with State(by_hub.state_path, print) as state:
        assert state.chunks.get(file.sha256 or "", SIZE, CHUNK_BYTES) == file.chunks
    (by_hub.models_dir / "org/large" / PATH).unlink()
    world.journal.clear()
    world.add("cdn", Corrupt(offset=3 * CHUNK_BYTES + 17), nth=1)
    assert sync(bare, settings=by_hub).ok
    assert all_right()
    assert sent(world) == SIZE + CHUNK_BYTES


def test_without_a_list_the_file_starts_anew(
    world: World, by_hub: Settings, all_right: Callable[[], bool], bare: Manifest
) -> None:
    """Nothing else can be known; this is what the list saves."""
    world.add("cdn", Corrupt(offset=3 * CHUNK_BYTES + 17), nth=1)
    told: list[Event] = []
    assert sync(bare, settings=by_hub, observer=told.append).ok
    assert all_right()
    assert not blamed(told)
    assert sent(world) == 2 * SIZE


@pytest.mark.parametrize("mode", ["path", "trustless"])
def test_a_cid_proves_the_list_wherever_it_comes_from(mode: Mode, tmp_path: Path) -> None:
    """The bytes come from HuggingFace alone; a gateway that has none of them hands over the root block."""
    with World(MODELS, size="full", gateways=2, gateway_modes={"gateway2": mode}) as world:
        manifest = Manifest.parse(json.dumps(world.manifest(proofs=False)), name="world")
        settings = settings_of(world, tmp_path)
        world.add("gateway1", Status(404))
        world.add("gateway2", Status(404), path=f"*{PATH}")
        world.add("cdn", Corrupt(offset=3 * CHUNK_BYTES + 17), nth=1)
        told: list[Event] = []
        assert sync(manifest, settings=settings, observer=told.append).ok
        [mended] = world.journal.select(server="cdn")[1:]
        assert mended.range == f"bytes={3 * CHUNK_BYTES}-{4 * CHUNK_BYTES - 1}"
        assert blamed(told) == [(host(world.hub), 1, False)]


def test_a_wrong_list_proves_nothing(tmp_path: Path) -> None:
    """A gateway that lies about the block is not believed; the next one is asked."""
    with World(MODELS, size="full", gateways=2) as world:
        manifest = Manifest.parse(json.dumps(world.manifest(proofs=False)), name="world")
        world.add("gateway1", OtherFile())
        world.add("gateway2", Status(404), path=f"*{PATH}")
        world.add("cdn", Corrupt(offset=3 * CHUNK_BYTES + 17), nth=1)
        assert sync(manifest, settings=settings_of(world, tmp_path)).ok
        [whole, rest] = [entry.range for entry in world.journal.select(server="cdn")]
        assert (whole, rest) == (f"bytes=0-{SIZE - 1}", f"bytes={3 * CHUNK_BYTES}-{SIZE - 1}")


def test_a_file_of_one_block_is_its_own_list(tmp_path: Path) -> None:
    """Its CID says all there is to know: no gateway is asked for the block."""
    models = {"small": {**MODELS["large"], "files": {PATH: {"size": 900}}}}
    with World(models, size="full", gateways=2) as world:
        document = world.manifest(proofs=False)
        del document["small"]["ipfs"]
        document["small"]["files"][PATH]["cid"] = world.manifest()["small"]["files"][PATH]["cid"]
        manifest = Manifest.parse(json.dumps(document), name="world")
        settings = settings_of(world, tmp_path)
        world.add("gateway1", Corrupt(offset=17))
        told: list[Event] = []
        assert sync(manifest, settings=settings, observer=told.append).ok
        assert blamed(told) == [(host(world.gateways[0]), 1, False)]
        assert [entry.server for entry in world.journal.entries()] == ["gateway1", "gateway2"]


def test_a_list_that_contradicts_the_digest_ends(world: World, settings: Settings) -> None:
    """Somebody's manifest is wrong: a clean failure, and no endless mending of what is right."""
    document = world.manifest()
    document["large"]["files"][PATH]["sha256"] = "0" * 64
    wrong = Manifest.parse(json.dumps(document), name="wrong")
    summary = sync(wrong, settings=settings)
    assert len(summary.failures) == 1
    assert sent(world) <= 6 * SIZE


def test_what_an_earlier_run_left_is_mended_and_nobody_blamed(
    world: World, settings: Settings, proven: Manifest, all_right: Callable[[], bool]
) -> None:
    """A partial whose bytes rotted on this disk: a MiB is fetched again, not what is right of it."""
    world.add("gateway1", Truncate(offset=5_000_000), nth=1)
    world.add("gateway1", Status(404), nth=2)
    assert not sync(proven, settings=only(settings, 1)).ok
    [partial] = (settings.models_dir / "org/large").glob(".*.partial")
    with partial.open("r+b") as stream:
        stream.seek(2 * CHUNK_BYTES + 5)
        stream.write(b"rot")
    world.clear()
    world.journal.clear()
    told: list[Event] = []
    assert sync(proven, settings=settings, observer=told.append).ok
    assert all_right()
    assert not blamed(told)
    assert not bans(settings)
    assert next(event.offset for event in told if isinstance(event, AttemptStarted)) == 5_000_000
    assert sent(world) == SIZE - 5_000_000 + CHUNK_BYTES


@pytest.mark.parametrize("rot", [0, 3 * CHUNK_BYTES + 17, SIZE - 1])
def test_a_file_that_rotted_on_disk_is_mended(
    world: World, by_hub: Settings, all_right: Callable[[], bool], bare: Manifest, rot: int
) -> None:
    """By the list of its first sync: a MiB is fetched, what was there is kept as .bak, and nobody is blamed."""
    assert sync(bare, settings=by_hub).ok
    world.journal.clear()
    path = by_hub.models_dir / "org/large" / PATH
    data = bytearray(path.read_bytes())
    data[rot] ^= 1
    path.write_bytes(data)
    told: list[Event] = []
    assert sync(bare, settings=by_hub, observer=told.append, rehash=True).ok
    assert all_right()
    assert not blamed(told)
    assert path.with_name(f"{PATH}.bak").read_bytes() == data
    assert 0 < sent(world) <= CHUNK_BYTES
    assert sorted(each.name for each in path.parent.iterdir()) == [PATH, f"{PATH}.bak"]
