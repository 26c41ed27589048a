"""Rows of the fault catalogue that are more than one fault at one source: once, everywhere, at many clients at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import Corrupt, Dribble, Status
from fakes.world import World
from fallback import Manifest, sync
from tests.flow.told import ONNX, only, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback import Settings
    from fallback.events import Event

CLIENTS = 40


@pytest.mark.fault(15)
@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_that_happens_once_costs_one_request(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool], status: int
) -> None:
    """The only source there is fails once, and is asked again after its pause."""
    world.add("gateway1", Status(status), path=ONNX, first=1)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    assert [outcome for outcome in outcomes(told) if outcome != "unreachable"] == ["unavailable", "delivered"]
    assert all_right()


@pytest.mark.fault(17, 18)
@pytest.mark.parametrize(
    "fault", [Status(503, retry_after=1), Status(429, retry_after_date_s=2)], ids=["seconds", "date"]
)
def test_the_only_source_is_not_asked_before_its_time(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool], fault: Status
) -> None:
    """Retry-After is a floor; a date has whole seconds, so that of two is one at least."""
    world.add("gateway1", fault, path=ONNX, first=1)
    patient = replace(only(settings, 1), max_wait_s=5)
    assert sync(manifest, settings=patient).ok
    first, second = world.journal.select(server="gateway1", path=ONNX)
    assert second.time - first.time >= 1
    assert all_right()


@pytest.mark.fault(54)
def test_when_all_are_wrong_the_failure_names_each(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """Also when all are wrong in the same way: that many agree proves nothing."""
    world.add("*", Corrupt(fraction=1.0), path="*")
    summary = sync(manifest, settings=settings)
    assert not summary.files
    for failure in summary.failures:
        told = dict(failure.reasons)
        assert set(told) == {url.removeprefix("http://") for url in (*world.gateways, world.hub)}
    assert not [
        path for path in (settings.models_dir / "org").rglob("*") if path.name[0] != "." and path.is_file()
    ]


@pytest.mark.fault(45)
def test_a_file_that_is_empty_in_truth_is_got(settings: Settings) -> None:
    files = {"empty.txt": {"size": 0}, "one.txt": {"size": 1}}
    repo = {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""}
    models = {"tiny": {"type": "stt", "dir": "org/tiny", "huggingface": repo, "files": files}}
    with World(models, size="full") as world:
        here = replace(settings, gateways=tuple(world.gateways), hf_endpoint=world.hub)
        assert sync(parse(world), settings=here).ok
    sizes = {path.name: path.stat().st_size for path in (settings.models_dir / "org/tiny").glob("*.txt")}
    assert sizes == {"empty.txt": 0, "one.txt": 1}


@pytest.mark.fault(107)
def test_a_herd_does_not_come_back_at_once(
    world: World, settings: Settings, manifest: Manifest, tmp_path: Path
) -> None:
    """Many that are told 429 at once come back over a longer time than they came; none comes early."""
    world.add("gateway1", Status(429, retry_after=1), path=ONNX, first=CLIENTS)
    ends: list[bool] = []

    def client(number: int) -> None:
        own = replace(
            only(settings, 1),
            models_dir=tmp_path / f"client{number}",
            timeout_s=10,
            connect_timeout_s=10,
            max_wait_s=10,
            backoff_s=2,
            jobs=1,
        )
        ends.append(sync(manifest, settings=own).ok)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = world.journal.select(server="gateway1", path=ONNX)
    refused = [entry for entry in entries if entry.status == 429]
    served = [entry for entry in entries if entry.status == 200]
    assert ends == [True] * CLIENTS
    assert Counter(entry.status for entry in entries) == {429: CLIENTS, 200: CLIENTS}
    assert served[0].time - refused[0].time >= 1
    spread = [entries[-1].time - entries[0].time for entries in (refused, served)]
    assert spread[1] > spread[0] + 0.4


@pytest.mark.fault(108)
def test_when_all_are_slow_the_deadline_ends_it(world: World, settings: Settings, manifest: Manifest) -> None:
    """Each keeps its minimum rate, so none is given up; P4 alone helps."""
    world.add("*", Dribble(bytes_per_s=2000), path=ONNX)
    world.add("cdn", Dribble(bytes_per_s=2000))
    patient = replace(settings, min_rate_bytes_s=1000, timeout_s=10, deadline_s=1.5)
    began = time.monotonic()
    summary = sync(manifest, settings=patient)
    assert time.monotonic() - began < 1.5 + 1
    assert [failure.path for failure in summary.failures] == ["onnx/model.onnx"]


def parse(world: World) -> Manifest:
    import json

    return Manifest.parse(json.dumps(world.manifest()), name="world")
