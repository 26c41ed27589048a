"""Single flight: whoever asks for the same models at the same time, their bytes travel once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import fault_from_dict as fault
from fallback import BusyError, StoppedError, sync
from fallback.events import CacheHit, FileCompleted, RunEnded, RunStarted
from tests.flow.serving import Server
from tests.flow.told import ONNX, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event

STALL = {"name": "stall", "offset": 2_000_000, "seconds": 1}


def bodies(world: World) -> Counter[str]:
    """How often each file was asked for: what a server asks about newer versions, in its own time, is none."""
    entries = world.journal.entries()
    return Counter(
        each.path for each in entries if each.method == "GET" and not each.path.startswith("/api/")
    )


def test_thirty_threads_share_one_run(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    """Each has the same summary, each one's observer hears the run begin and every file end, no body travels twice."""
    world.add("gateway1", fault(STALL), path=ONNX)
    told: list[list[Event]] = [[] for _ in range(30)]
    slow = replace(settings, timeout_s=5)
    with ThreadPoolExecutor(30) as pool:
        summaries = list(pool.map(lambda heard: sync(manifest, settings=slow, observer=heard.append), told))
    assert len({id(summary) for summary in summaries}) == 1
    for heard in told:
        kinds = Counter(type(event) for event in heard)
        assert (kinds[RunStarted], kinds[RunEnded]) == (1, 1)
        assert kinds[FileCompleted] + kinds[CacheHit] == 2
    assert set(bodies(world).values()) == {1}
    assert all_right()


def test_other_models_and_a_repair_are_other_runs(
    world: World, manifest: Manifest, settings: Settings
) -> None:
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(sync, manifest, settings=settings)
        two = pool.submit(sync, manifest, settings=settings, rehash=True)
        assert one.result(20) is not two.result(20)
    assert set(bodies(world).values()) == {1}, "the files' locks do it, then"


def test_a_failed_run_does_not_stick(world: World, manifest: Manifest, settings: Settings) -> None:
    world.add("*", fault({"name": "status", "status": 404}))
    with ThreadPoolExecutor(5) as pool:
        failed = list(pool.map(lambda _: sync(manifest, settings=settings), range(5)))
    assert not any(summary.ok for summary in failed)
    world.clear()
    assert sync(manifest, settings=settings).ok


def test_a_call_waits_for_another_only_so_long(world: World, manifest: Manifest, settings: Settings) -> None:
    """The setting, or the call's own deadline; the other call goes on."""
    world.add("gateway1", fault(STALL), path=ONNX)
    patient = replace(settings, timeout_s=5)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sync, manifest, settings=patient)
        until(lambda: len(world.journal.entries()) >= 2)
        for impatient in (replace(patient, join_timeout_s=0.1), replace(patient, deadline_s=0.1)):
            began = time.monotonic()
            with pytest.raises(BusyError, match="another call"):
                sync(manifest, settings=impatient)
            assert time.monotonic() - began < 1
        assert first.result(20).ok


def test_when_the_first_caller_stops_another_goes_on_from_what_came(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    world.add("gateway1", fault(STALL | {"seconds": 30}), path=ONNX, first=1)
    patient, stop = replace(settings, timeout_s=20), threading.Event()
    heard: list[Event] = []
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sync, manifest, settings=patient, stop=stop)
        until(lambda: any(entry.bytes_sent >= 2_000_000 for entry in world.journal.entries()))
        second = pool.submit(sync, manifest, settings=patient, observer=heard.append)
        until(lambda: bool(heard))
        stop.set()
        with pytest.raises(StoppedError):
            first.result(20)
        assert second.result(20).ok
    assert world.journal.select(path=ONNX)[-1].range is not None
    assert all_right()


def test_fifty_posts_to_five_processes_fetch_each_body_once(world: World, tmp_path: Path) -> None:
    """Five servers on one folder, ten POSTs each at the same time: the journal has each file once."""
    world.add("gateway1", fault(STALL | {"offset": 1000}), path=ONNX)
    gate = threading.Barrier(50)

    def post(server: Server) -> dict[str, Any]:
        gate.wait()
        answer = server.ask("POST", "api/models/sync")
        assert answer.status_code == 202, answer.text
        return server.over(answer.json()["run"], 40)

    with ExitStack() as opened:
        servers = [opened.enter_context(Server(world, tmp_path)) for _ in range(5)]
        with ThreadPoolExecutor(50) as pool:
            runs = list(pool.map(post, servers * 10))
        assert {run["status"] for run in runs} == {"completed"}
        assert len({run["run"] for run in runs}) == 5
        assert sum(run["joined"] for server in servers for run in server.get("api/models/sync")["runs"]) == 45
    print("\n50 POSTs, bodies per file:", dict(bodies(world)))
    assert set(bodies(world).values()) == {1}
    assert len(bodies(world)) == 2
