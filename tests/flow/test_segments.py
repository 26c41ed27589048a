"""A large file over several connections, when one alone is too slow: right, whoever dawdles, lies, cuts or refuses."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import (
    Bandwidth,
    Corrupt,
    CutEvery,
    Hang,
    RangeIgnored,
    Redirect,
    Stall,
    Status,
)
from fakes.world import World
from fallback import Manifest, Settings, StoppedError, StorageError, segments, sync
from fallback.events import AttemptEnded, AttemptStarted, Blamed, FileCompleted, Progressed
from fallback.ipfs.unixfs import V0_2015
from fallback.manifest import CHUNK_BYTES
from fallback.pace import Pace
from fallback.partial import Partial
from fallback.state import State
from tests.flow.told import only, partials, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.events import Event

SIZE = 10_000_000
CHUNKS = range(0, SIZE, CHUNK_BYTES)
KB_S = 2000
"""So fast each connection is: the file would take one of them five seconds."""
PATH = "model.bin"
MODELS: dict[str, Any] = {
    "large": {
        "type": "stt",
        "dir": "org/large",
        "huggingface": {"repo": "org/large", "repo_type": "model", "revision": "main", "path": ""},
        "files": {PATH: {"size": SIZE}},
    }
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        world.add("*", Bandwidth(rate=KB_S))
        yield world


@pytest.fixture(name="manifest")
def _manifest(world: World) -> Manifest:
    return Manifest.parse(json.dumps(world.manifest()), name="world")


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    return Settings(
        models_dir=tmp_path / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        segments_from_bytes=1 << 20,
        timeout_s=5,
        patience_s=4,
        connect_timeout_s=2,
        backoff_s=0.05,
        max_wait_s=1,
        reserve_bytes=0,
    )


@pytest.fixture(name="is_right")
def _is_right(world: World, settings: Settings) -> Any:
    sha256 = world.manifest()["large"]["files"][PATH]["sha256"]
    path = settings.models_dir / "org/large" / PATH
    return lambda: hashlib.sha256(path.read_bytes()).hexdigest() == sha256


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    """No thread that fetches outlives its run."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asking")]


def host(url: str) -> str:
    return url.partition("//")[2]


def ended(told: list[Event]) -> dict[str, str]:
    """What each source came to in the end."""
    return {each.source: each.outcome for each in told if isinstance(each, AttemptEnded)}


def started(told: list[Event]) -> list[str]:
    return [each.source for each in told if isinstance(each, AttemptStarted)]


def ranges(world: World, server: str = "*") -> list[tuple[int, int]]:
    """The parts (first byte, last byte) that were asked for, in order."""
    parts = [re.fullmatch(r"bytes=(\d+)-(\d+)", entry.range or "") for entry in world.journal.select(server)]
    return sorted((int(part[1]), int(part[2])) for part in parts if part)


def asked(world: World) -> set[str]:
    return {entry.server for entry in world.journal.entries() if entry.path}


def test_four_slow_gateways_bring_a_file_together(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """In the order of the plan, no byte asked for twice, each source told of once."""
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    gateways = [host(url) for url in world.gateways]
    assert started(told) == gateways
    assert sorted(ended(told)) == sorted(gateways)
    assert sorted(ended(told).values()) == ["delivered", "part_delivered", "part_delivered", "part_delivered"]
    parts = ranges(world)
    assert parts[-1][1] == SIZE - 1
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(parts))
    assert all(first % CHUNK_BYTES == 0 for first, _ in parts)
    each = [event.bytes_received for event in told if isinstance(event, AttemptEnded)]
    assert sum(each) == SIZE
    assert min(each) > CHUNK_BYTES
    progress = [event.downloaded for event in told if isinstance(event, Progressed)]
    assert progress == sorted(progress)
    assert progress[-1] == SIZE
    assert len({event.source for event in told if isinstance(event, Progressed)}) > 1, "of whom it came"


@pytest.mark.parametrize(
    "changed", [{"connections": 1}, {"segments_from_bytes": SIZE}], ids=["one connection", "a small file"]
)
def test_who_wants_one_connection_has_one(
    world: World, settings: Settings, manifest: Manifest, changed: Any
) -> None:
    """By default a file is small up to 32 MiB."""
    assert Settings().segments_from_bytes == 32 << 20
    stop = threading.Event()

    def observer(event: Event) -> None:
        if isinstance(event, Progressed) and event.downloaded > SIZE / 3:
            stop.set()

    with pytest.raises(StoppedError):
        sync(manifest, settings=replace(settings, **changed), observer=observer, stop=stop)
    assert ranges(world) == []
    assert asked(world) == {"gateway1"}


def test_a_fast_source_is_asked_alone(tmp_path: Path, settings: Settings) -> None:
    """On loopback, whatever is left."""
    with World({"large": MODELS["large"] | {"files": {PATH: {"size": 40_000_000}}}}, size="full") as world:
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        fast = replace(settings, models_dir=tmp_path / "fast", gateways=tuple(world.gateways))
        assert sync(manifest, settings=fast).ok
        assert [entry.server for entry in world.journal.entries() if entry.path] == ["gateway1"]


def test_a_source_that_is_alone_gets_a_second_connection(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    assert is_right()
    gateway = host(world.gateways[0])
    assert [each for each in started(told) if each == gateway] == [gateway, gateway]
    assert len(ranges(world)) >= 4


def test_a_second_connection_that_is_refused_is_held_against_nobody(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """And what is left comes in one piece, by the first."""
    world.add("gateway1", Status(429, retry_after=30), nth=2)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    assert is_right()
    outcomes = [each.outcome for each in told if isinstance(each, AttemptEnded)]
    assert [each for each in outcomes if each != "unreachable"] == ["outrun", "delivered"]
    with State(settings.state_path, print) as state:
        assert host(world.gateways[0]) not in state.health.load()
    assert [entry for entry in world.journal.entries() if re.fullmatch(r"bytes=\d+-", entry.range or "")]


def test_one_that_is_no_faster_with_others_goes_on_alone(
    world: World, settings: Settings, manifest: Manifest, is_right: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is full: what was asked of the others is used, and the rest is asked for at once."""
    monkeypatch.setattr(
        Pace, "worth", lambda pace, *_: 1 if pace.is_tried else None
    )  # the fakes' lines are never full
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    assert sorted(ended(told).values()) == ["delivered", "part_delivered", "part_delivered", "part_delivered"]
    assert ended(told)[host(world.gateways[0])] == "delivered"
    [rest] = [entry for entry in world.journal.entries() if re.fullmatch(r"bytes=\d+-", entry.range or "")]
    assert rest.server == "gateway1"


def test_a_liar_among_them_is_found_out_by_its_first_chunk(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """Nothing of what it sent is in the file, and it is not asked again."""
    for start in CHUNKS:
        world.add("gateway3", Corrupt(offset=start + 99))
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    liar = host(world.gateways[2])
    assert ended(told)[liar] == "corrupt"
    assert started(told).count(liar) == 1
    assert [(each.source, each.chunks) for each in told if isinstance(each, Blamed)] == [(liar, 1)]
    assert sum(each.bytes_sent for each in world.journal.select("gateway3")) <= 2 * CHUNK_BYTES
    assert "spliced" not in ended(told).values()
    with State(settings.state_path, print) as state:
        assert {name for name, health in state.health.load().items() if health.bans} == {liar}


def test_a_liar_among_them_costs_its_chunks_and_is_named(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """Whose first chunk was right: chunk digests lay the blame; nobody else is asked for less than before."""
    for start in CHUNKS[5:]:
        world.add("gateway3", Corrupt(offset=start + 99))
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    liar = host(world.gateways[2])
    [(chunks, culprit)] = [(each.chunks, each.source) for each in told if isinstance(each, Blamed)]
    assert culprit == liar
    assert 1 <= chunks <= len(CHUNKS) / 2
    with State(settings.state_path, print) as state:
        assert {name for name, health in state.health.load().items() if health.bans} == {liar}


def test_those_that_helped_one_whose_first_chunk_is_wrong_are_outrun(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """They are shut, and nothing is held against them: they bring the file now."""
    world.add("gateway*", Bandwidth(rate=1000))
    world.add("gateway1", Corrupt(offset=99))
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    ends = [(each.source, each.outcome) for each in told if isinstance(each, AttemptEnded)]
    wrong = ends.index((host(world.gateways[0]), "corrupt"))
    assert wrong >= 1, "others were asked beside it"
    assert {outcome for _, outcome in ends[:wrong]} == {"outrun"}
    assert "interrupted" not in {outcome for _, outcome in ends}


def test_a_liar_that_no_chunks_betray_costs_the_file_once(
    world: World, settings: Settings, is_right: Any
) -> None:
    """Nobody is blamed, and the bytes of several sources are not mixed again."""
    document = world.manifest(proofs=False)
    document["large"]["ipfs"]["profile"] = V0_2015.name
    for start in CHUNKS:
        world.add("gateway3", Corrupt(offset=start + 99))
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        if isinstance(event, AttemptEnded) and event.outcome == "spliced":
            world.remove(next(iter(world.rules())))
            world.add("*", Bandwidth(rate=1.5 * KB_S))  # still slow enough to be worth helping

    assert sync(Manifest.parse(json.dumps(document), name="w"), settings=settings, observer=observer).ok
    assert is_right()
    ends = [(each.source, each.outcome) for each in told if isinstance(each, AttemptEnded)]
    assert [outcome for _, outcome in ends].count("spliced") == 1
    assert {source for source, outcome in ends if outcome == "corrupt"} <= {host(world.gateways[2])}
    assert ends[-1][1] == "delivered"


@pytest.mark.parametrize(
    ("size", "kb_s", "every", "attempts"),
    [(5_000_000, 1000, 600_000, 9), (12_000_000, 3000, 1_700_000, 2)],
    ids=["before a chunk is whole", "after a chunk, which gives an attempt back"],
)
def test_where_every_connection_breaks_off_several_cost_no_more_than_one(
    settings: Settings, size: int, kb_s: int, every: int, attempts: int
) -> None:
    """Not in bytes, but for what was under way once, and not in attempts: a source is charged once for what it did."""
    model = MODELS["large"] | {"files": {PATH: {"size": size}}}
    with World({"large": model}, size="full") as world:
        world.add("*", Bandwidth(rate=kb_s))
        world.add("gateway1", CutEvery(bytes=every))
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        one = replace(
            settings,
            gateways=(world.gateways[0],),
            hf_endpoint="http://127.0.0.1:9",
            gateway_attempts=attempts,
            max_wait_s=0.1,
        )
        assert sync(manifest, settings=one).ok
        assert 1 <= len(ranges(world)) <= 3, "it is tried, and not again after it has failed"
        assert sum(entry.bytes_sent for entry in world.journal.entries()) <= size + 2 * every


@pytest.mark.parametrize("at", [None, 1000], ids=["silent", "stalls"])
def test_one_that_is_silent_holds_nobody_up(
    world: World, settings: Settings, manifest: Manifest, is_right: Any, at: int | None
) -> None:
    """What it was asked for is asked of another one."""
    for start in CHUNKS:
        world.add("gateway2", Hang() if at is None else Stall(offset=start + at))
    patient = replace(settings, timeout_s=30, patience_s=20)
    told: list[Event] = []
    began = time.monotonic()
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert time.monotonic() - began < 15
    assert is_right()
    assert ended(told)[host(world.gateways[1])] == "outrun"
    assert len(ranges(world, "gateway2")) <= 2


@pytest.mark.parametrize("is_late_again", [False, True], ids=["once", "always"])
def test_one_that_is_late_goes_on_with_the_next_part_once(
    world: World,
    settings: Settings,
    manifest: Manifest,
    is_right: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_late_again: bool,
) -> None:
    """Another one has that part before it; one that is late again is no help any more, and nothing is held against it."""
    monkeypatch.setattr(segments, "HELD", 3 * CHUNK_BYTES)  # the other one has nothing else to do soon
    monkeypatch.setattr(Pace, "worth", lambda *_: None)
    world.add("gateway2", Hang(), nth=None if is_late_again else 1)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1, 2), observer=told.append).ok
    assert is_right()
    assert started(told).count(host(world.gateways[1])) == 1
    parts = [start for start, _ in ranges(world, "gateway2")]
    assert len({start for start, _ in ranges(world, "gateway1")} & set(parts)) == 1 + is_late_again
    outcome = ended(told)[host(world.gateways[1])]
    if is_late_again:
        assert (outcome, len(parts)) == ("outrun", 2)
    else:
        assert outcome in {"delivered", "part_delivered"}
        assert len(parts) > 2


def test_one_that_breaks_off_leaves_what_came(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """Its answers end after half a MiB; the plan says whether it is asked again, and the others go on."""
    world.add("gateway2", CutEvery(bytes=CHUNK_BYTES // 2))
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    gateway = host(world.gateways[1])
    cut = [event for event in told if isinstance(event, AttemptEnded) and event.source == gateway]
    assert {event.outcome for event in cut} == {"interrupted"}
    assert len(cut) <= settings.gateway_attempts


def test_what_each_brought_adds_up_to_the_file_where_all_break_off(settings: Settings) -> None:
    """The end of each is told when the last of what it brought is written, also of what had to wait for its turn."""
    model = MODELS["large"] | {"files": {PATH: {"size": 16_000_000}}}
    with World({"large": model}, size="full") as world:
        world.add("*", Bandwidth(rate=3300))
        world.add("gateway*", CutEvery(bytes=CHUNK_BYTES + 400_000))
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        told: list[Event] = []
        cut = replace(settings, gateways=tuple(world.gateways), hf_endpoint=world.hub)
        assert sync(manifest, settings=cut, observer=told.append).ok
    each = [event for event in told if isinstance(event, AttemptEnded)]
    assert [event.outcome for event in each].count("interrupted") > 1
    [completed] = [event for event in told if isinstance(event, FileCompleted)]
    assert sum(event.bytes_received for event in each) == completed.bytes_received == 16_000_000


def test_a_chunk_whose_turn_is_to_come_gives_the_attempt_back(settings: Settings) -> None:
    """The one that helps breaks off after more than a chunk, ahead of what is written: it is asked again, though it may fail once."""
    model = MODELS["large"] | {"files": {PATH: {"size": 16_000_000}}}
    with World({"large": model}, size="full") as world:
        world.add("*", Bandwidth(rate=3300))
        world.add("gateway2", CutEvery(bytes=CHUNK_BYTES + 1000))
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        told: list[Event] = []
        once = replace(
            settings,
            gateways=tuple(world.gateways[:2]),
            gateway_attempts=1,
            hf_endpoint="http://127.0.0.1:9",
            preferred_layer="huggingface",  # it is known to be away by then
        )
        assert sync(manifest, settings=once, observer=told.append).ok
        assert ended(told)[host(world.gateways[1])] != "interrupted"


def test_the_one_that_led_may_fail_and_another_ends_it(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    world.add("gateway1", Status(503), after=1)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    assert ended(told)[host(world.gateways[0])] == "unavailable"
    assert "delivered" in ended(told).values()


@pytest.mark.parametrize("nth", [1, 2], ids=["at once", "after a while"])
def test_those_that_failed_for_a_moment_help_again_after_their_pause(settings: Settings, nth: int) -> None:
    """Meanwhile the one that is left has a second connection, or is asked for the rest if that is known to be no use."""
    model = MODELS["large"] | {"files": {PATH: {"size": 24_000_000}}}
    with World({"large": model}, size="full") as world:
        world.add("*", Bandwidth(rate=KB_S))
        for number in (2, 3, 4):
            world.add(f"gateway{number}", Status(503), nth=nth)
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        told: list[Event] = []
        patient = replace(
            settings, gateways=tuple(world.gateways), hf_endpoint="http://127.0.0.1:9", backoff_s=0.8
        )
        assert sync(manifest, settings=patient, observer=told.append).ok
        entries = [each for each in world.journal.entries() if re.fullmatch(r"bytes=\d+-", each.range or "")]
        assert [each.server for each in entries] == ["gateway1"] * (nth - 1)
        ends = [each for each in told if isinstance(each, AttemptEnded)]
        helpers = set(map(host, world.gateways[1:]))
        assert {each.source for each in ends if each.outcome == "unavailable"} == helpers
        assert len({each.source for each in ends if each.attempt == 2 and each.ok} & helpers) == nth + 1


def test_one_that_is_throttled_is_left_alone(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    world.add("gateway2", Status(429, retry_after=60))
    told: list[Event] = []
    assert sync(manifest, settings=replace(settings, max_wait_s=60), observer=told.append).ok
    assert is_right()
    assert ended(told)[host(world.gateways[1])] == "throttled"
    assert len(ranges(world, "gateway2")) == 1
    assert asked(world) == {"gateway1", "gateway2", "gateway3", "gateway4", "hub", "cdn"}


def test_one_that_ignores_ranges_is_no_help(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    world.add("gateway2", RangeIgnored())
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    assert ended(told)[host(world.gateways[1])] == "outrun"
    assert len(ranges(world, "gateway2")) == 1


def test_where_all_ignore_ranges_one_stream_brings_the_file(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """Also if they promise otherwise: then it is begun once more, from zero."""
    world.add("gateway*", RangeIgnored())
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        if isinstance(event, AttemptEnded) and event.outcome == "malformed" and len(world.rules()) > 1:
            world.remove(next(iter(world.rules())))  # the rest at full speed

    assert sync(manifest, settings=only(settings, 1, 2), observer=observer).ok
    assert is_right()
    outcomes = [each.outcome for each in told if isinstance(each, AttemptEnded)]
    assert outcomes.count("malformed") <= 2
    assert outcomes[-1] == "delivered"


def test_one_that_sends_us_on_is_asked_where_once(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """Every further part is asked for where it led."""
    path = next(iter(world.manifest().values()))["ipfs"]["cid"]
    world.add("gateway2", Redirect(f"{world.gateways[3]}/ipfs/{path}/{PATH}"))
    assert sync(manifest, settings=settings).ok
    assert is_right()
    assert len(ranges(world, "gateway2")) == 1
    assert len(ranges(world)) > 4


def by_hub(settings: Settings) -> Settings:
    return replace(settings, gateways=(), hf_token="hf_a_token_of_ours")


def test_the_hub_s_cdn_gives_a_file_over_two_connections(
    world: World, settings: Settings, manifest: Manifest, is_right: Any
) -> None:
    """And the Hub, which counts its answers, is asked where the file is once a connection at most; its token stays there."""
    told: list[Event] = []
    assert sync(manifest, settings=by_hub(settings), observer=told.append).ok
    assert is_right()
    assert len(started(told)) == 2
    parts = ranges(world, "cdn")
    assert len(parts) >= 4
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(parts))
    resolved = [entry for entry in world.journal.select("hub") if "/resolve/" in entry.path]
    assert len(resolved) <= 3
    authorized = {
        e.server for e in world.journal.entries() if "authorization" in {h.lower() for h in e.headers}
    }
    assert authorized == {"hub"}


def test_a_signed_url_that_expires_between_two_parts_is_resolved_again(
    settings: Settings, is_right: Any, tmp_path: Path
) -> None:
    """It is good for a second here, and the file takes three: nobody has failed by that, and no part is lost."""
    with World(MODELS, size="full", url_ttl_s=1) as world:
        world.add("*", Bandwidth(rate=KB_S))
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        told: list[Event] = []
        brief = replace(by_hub(settings), hf_endpoint=world.hub)
        assert sync(manifest, settings=brief, observer=told.append).ok
        assert is_right()
        refused = [entry for entry in world.journal.select("cdn") if entry.status == 403]
        assert refused
        assert len([e for e in world.journal.select("hub") if "/resolve/" in e.path]) >= 2
    assert {each.outcome for each in told if isinstance(each, AttemptEnded)} <= {
        "delivered",
        "part_delivered",
    }


def test_a_stop_ends_all_and_keeps_what_came(world: World, settings: Settings, manifest: Manifest) -> None:
    stop = threading.Event()
    told: list[Event] = []

    def observer(event: Event) -> None:
        told.append(event)
        if isinstance(event, Progressed) and event.downloaded > 3_000_000:
            stop.set()

    with pytest.raises(StoppedError):
        sync(manifest, settings=settings, observer=observer, stop=stop)
    assert sorted(started(told)) == sorted(ended(told))
    assert set(ended(told).values()) == {"interrupted"}
    assert_is_prefix(world, settings)


def test_a_deadline_ends_all(world: World, settings: Settings, manifest: Manifest) -> None:
    """P4."""
    began = time.monotonic()
    told: list[Event] = []
    summary = sync(manifest, settings=replace(settings, deadline_s=1.2), observer=told.append)
    assert not summary.ok
    assert time.monotonic() - began < 1.2 + 1
    assert len(started(told)) > 1
    assert_is_prefix(world, settings)


def test_a_disk_that_fails_ends_all(
    world: World, settings: Settings, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is nobody's fault but this machine's."""
    write = Partial.write

    def full(partial: Partial, data: bytes) -> None:
        if partial.size > CHUNK_BYTES:
            raise StorageError(partial.path, "No space left on device")
        write(partial, data)

    monkeypatch.setattr(Partial, "write", full)
    world.add("gateway4", Hang())
    told: list[Event] = []
    began = time.monotonic()
    with pytest.raises(StorageError):
        sync(manifest, settings=replace(settings, timeout_s=30), observer=told.append)
    assert time.monotonic() - began < 15
    assert len(ended(told)) > 1
    assert set(ended(told).values()) == {"storage"}


CHILD = """
import sys
from fallback import Manifest, Settings, sync
path, folder, *gateways = sys.argv[1:]
settings = Settings(models_dir=folder, gateways=tuple(gateways), hf_endpoint="http://127.0.0.1:9",
    reserve_bytes=0, segments_from_bytes=1 << 20)
sync(Manifest.load(path), settings=settings)
"""


def test_a_kill_loses_little_and_the_rest_is_gone_on_with(
    world: World, settings: Settings, manifest: Manifest, is_right: Any, tmp_path: Path
) -> None:
    """SIGKILL in the middle: what is on disk is the file's beginning, proven again, and no byte of it is asked for."""
    document = tmp_path / "manifest.json"
    document.write_text(json.dumps(world.manifest()))
    command = [sys.executable, "-c", CHILD, str(document), str(settings.models_dir), *world.gateways]
    with subprocess.Popen(command) as process:
        until(lambda: sum(path.stat().st_size for path in partials(settings)) > SIZE / 3)
        process.kill()
    before = len(world.journal.entries())
    kept = assert_is_prefix(world, settings)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert is_right()
    first = next(each for each in told if isinstance(each, AttemptStarted))
    assert first.offset == kept > SIZE / 3
    later = [entry.range or "" for entry in world.journal.entries()[before:] if entry.path]
    assert min(int(re.split("[=-]", part)[1]) for part in later) == kept


def assert_is_prefix(world: World, settings: Settings) -> int:
    """What is on disk is the beginning of the file, without holes; how many bytes."""
    [partial] = partials(settings)
    data = partial.read_bytes()
    [(_, blob)] = world.catalogue.models["large"].files.items()
    assert blob.path.read_bytes()[: len(data)] == data
    return len(data)
