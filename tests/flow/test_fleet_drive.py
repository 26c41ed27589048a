"""A fleet's loop over real Dask workers, which are threads of this process: who waits, who is late, who is asked no more."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, LocalCluster, Worker

from fakes.faults import Status
from fakes.faults import fault_from_dict as from_json
from fallback.fleet import driving, tasks
from fallback.fleet.cluster import Node
from fallback.fleet.driving import Drive
from fallback.fleet.tasks import Task
from fallback.fleet.warming import warm_node
from fallback.fleet.waves import Waves
from tests.fleet.lying import in_front_of
from tests.flow.told import ONNX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from http.server import ThreadingHTTPServer
    from pathlib import Path

    from fakes.world import World
    from fallback import Settings
    from fallback.fleet.driving import Standing
    from fallback.fleet.report import NodeReport

BYTES = 3_000_900
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning"),
]


@pytest.fixture(name="client")
def _client() -> Iterator[Client]:
    """Three workers in this process, at addresses of TCP."""
    with (
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
            silence_logs="CRITICAL",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class Fleet:
    """Three nodes of a world, and what is told of them."""

    def __init__(self, client: Client, world: World, settings: Settings, folder: Path) -> None:
        # Longer than elsewhere: on a busy machine, who answers late is not to be asked anew.
        self.overrides: dict[str, Any] = {
            "gateways": settings.gateways,
            "hf_endpoint": settings.hf_endpoint,
            "timeout_s": 20.0,
            "patience_s": 20.0,
            "backoff_s": 0.05,
            "max_wait_s": 1.0,
            "reserve_bytes": 0,
        }
        self.manifest = json.dumps(world.manifest())
        self.nodes = tuple(
            Node(f"n{place}", place, {"models_dir": str(folder / f"n{place}")}) for place in range(3)
        )
        self.client, self.steps = client, list[tuple[str, str, str]]()

    def tell(self, standings: Sequence[Standing]) -> None:
        for each in standings:
            step = (each.node, each.state, each.peer)
            if step not in self.steps:
                self.steps.append(step)

    def run(
        self, limit_s: float = 90, overrides: Mapping[str, Any] | None = None, *, fanout: int = 2
    ) -> dict[str, NodeReport]:
        def waves(names: Sequence[str], full: int) -> Waves:
            return Waves(names, seeds=full or 1, fanout=fanout)

        task = Task(self.manifest, {**self.overrides, **(overrides or {})})
        reports = Drive(self.client, self.nodes, waves, task, self.tell).run(limit_s)
        return {each.node: each for each in reports}


@pytest.fixture(name="fleet")
def _fleet(client: Client, world: World, settings: Settings, tmp_path: Path) -> Fleet:
    return Fleet(client, world, settings, tmp_path)


def test_one_fetches_and_the_others_take_it_from_there(fleet: Fleet, world: World) -> None:
    reports = fleet.run()
    assert {
        name: (each.ok, each.wave, each.outside_bytes, each.peer_bytes) for name, each in reports.items()
    } == {
        "n0": (True, 0, BYTES, 0),
        "n1": (True, 1, 0, BYTES),
        "n2": (True, 1, 0, BYTES),
    }
    assert sum(entry.bytes_sent for entry in world.journal.entries() if entry.status == 200) == BYTES
    assert [step[1] for step in fleet.steps if step[0] == "n2"] == ["waiting", "peers", "ready"]


def test_who_has_all_is_the_seed(fleet: Fleet, world: World) -> None:
    """The last of the nodes has the files: nobody asks the outside."""
    warm_node({**fleet.overrides, **fleet.nodes[2].overrides}, manifest=fleet.manifest)
    world.journal.clear()
    reports = fleet.run()
    assert [reports[name].wave for name in ("n0", "n1", "n2")] == [1, 1, 0]
    assert all(each.ok and not each.outside_bytes for each in reports.values())
    assert not world.journal.entries()
    assert [step[1:] for step in fleet.steps if step[0] == "n2"] == [("checking", ""), ("ready", "")]


REAL = tasks.work
FRONTS: list[ThreadingHTTPServer] = []
CALLS: list[str] = []


def lying(overrides: dict[str, Any], peers: Sequence[str], task: Task, node: str) -> dict[str, Any]:
    """The first node says that it shares at a server that gives wrong bytes."""
    told = REAL(overrides, peers, task, node)
    if node == "n0":
        FRONTS.append(in_front_of(told["url"]))
        told["url"] = f"http://127.0.0.1:{FRONTS[-1].server_port}"
    return told


def test_a_seed_that_lies_costs_a_way_outside_and_is_asked_no_more(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked it is right all the same, and nobody is sent there again."""
    monkeypatch.setattr(driving, "work", lying)
    reports = fleet.run(fanout=1)
    (front,) = FRONTS
    front.shutdown()
    front.server_close()
    assert all(each.ok for each in reports.values())
    assert [reports[name].liars for name in ("n0", "n1", "n2")] == [
        (),
        (f"127.0.0.1:{front.server_port}",),
        (),
    ]
    assert [reports[name].outside_bytes > 0 for name in ("n0", "n1", "n2")] == [True, True, False]


def test_a_dead_outside_is_said_of_every_node(fleet: Fleet, world: World) -> None:
    for server in ("gateway*", "hub"):
        world.add(server, Status(status=404))
    reports = fleet.run()
    assert {each.problem for each in reports.values()} == {"unavailable"}
    assert all("could not be had from any source" in each.error for each in reports.values())


def test_a_node_without_space_says_so_and_the_others_go_on(fleet: Fleet) -> None:
    first = fleet.nodes[0]
    fleet.nodes = (
        Node(first.name, first.pin, {**first.overrides, "reserve_bytes": 1 << 62}),
        *fleet.nodes[1:],
    )
    reports = fleet.run()
    assert [(reports[name].problem, reports[name].wave) for name in ("n0", "n1", "n2")] == [
        ("storage", 0),
        ("", 0),
        ("", 1),
    ]


def test_the_barrier_has_an_end(fleet: Fleet, world: World, settings: Settings) -> None:
    """Who is at work is told to stop, and keeps what has come; who has not begun is late as well."""
    world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX)
    began = time.monotonic()
    reports = fleet.run(2)
    assert time.monotonic() - began < 60
    assert {each.problem for each in reports.values()} == {"late"}
    assert [each.error for each in reports.values()] == ["it was not done in time"] + [
        "it was not begun in time"
    ] * 2
    until = time.monotonic() + 10
    while threads() and time.monotonic() < until:
        time.sleep(0.05)
    assert not threads(), "nothing is left at work"
    left = list((settings.models_dir.parent / "n0").rglob("*.partial"))
    assert [path.stat().st_size for path in left] == [2_000_000]


def threads() -> list[str]:
    return [
        each.name for each in threading.enumerate() if each.name.startswith(("fallback-server", "fallback_"))
    ]


def failing(overrides: dict[str, Any], peers: Sequence[str], task: Task, node: str) -> dict[str, Any]:
    """The second node always, the first one at first."""
    CALLS.append(node)
    if node == "n1" or CALLS == ["n0"]:
        raise RuntimeError("oops")
    return REAL(overrides, peers, task, node)


def test_a_mistake_of_ours_is_told_and_tried_once_more(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "work", failing)
    reports = fleet.run()
    assert [reports[name].problem for name in ("n0", "n1", "n2")] == ["", "error", ""]
    assert reports["n1"].error == "RuntimeError: oops"
    assert [CALLS.count(name) for name in ("n0", "n1", "n2")] == [2, 2, 1]


def test_a_worker_that_goes_away_is_a_lost_node(fleet: Fleet, world: World) -> None:
    """Nobody starts it anew; the others go on."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX, first=1)
    cluster = fleet.client.cluster

    def leave() -> None:
        cluster.sync(cluster.workers[0].close, nanny=False, executor_wait=False)
        world.remove(rule)

    threading.Timer(1.5, leave).start()
    reports = fleet.run()
    assert [reports[name].problem for name in ("n0", "n1", "n2")] == ["lost", "", ""]


def test_a_worker_that_is_started_anew_goes_on(fleet: Fleet, world: World) -> None:
    """It has another address then, and the node is begun again there; nobody else goes outside meanwhile."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX, first=1)
    cluster = fleet.client.cluster
    started: list[Worker] = []

    async def anew() -> None:
        await cluster.workers[0].close(nanny=False, executor_wait=False)
        started.append(
            await Worker(cluster.scheduler.address, name=0, nthreads=1, dashboard_address="127.0.0.1:0")
        )

    def happen() -> None:
        cluster.sync(anew)
        time.sleep(1)
        world.remove(rule)

    threading.Timer(1.5, happen).start()
    reports = fleet.run(overrides={"timeout_s": 3.0})
    cluster.sync(started[0].close)
    assert [(reports[name].ok, reports[name].wave) for name in ("n0", "n1", "n2")] == [
        (True, 0),
        (True, 1),
        (True, 1),
    ]
