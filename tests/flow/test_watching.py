"""The WebSocket: what a client is told, how often, and what it costs to tell it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fakes.faults import fault_from_dict as fault
from fakes.world import World
from tests.flow.conftest import MODELS
from tests.flow.messages import VALIDATOR
from tests.flow.serving import Server, flat
from tests.flow.told import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY: dict[str, Any] = {
    "many": {
        "type": "other",
        "dir": "many",
        "huggingface": None,
        "files": {f"{number:03}.bin": {"size": 1000 + number} for number in range(300)},
    }
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="server")
def _server(world: World, tmp_path: Path) -> Iterator[Server]:
    with Server(world, tmp_path) as server:
        yield server


def final(frames: list[dict[str, Any]]) -> dict[str, str]:
    """How each file ended, by what these frames say."""
    return {
        message["file"]: message["status"]
        for message in flat(frames)
        if "file" in message and message["done"]
    }


def test_a_run_is_told_from_its_beginning_to_its_end(server: Server, world: World) -> None:
    """With a failover in it: every frame is of the schema, at most four come in any second, the run's end last."""
    world.add("gateway1", fault({"name": "status", "status": 503}))
    world.add("gateway2", fault({"name": "bandwidth", "rate": 1500}))
    with server.watch() as watcher:
        idle = watcher.frame()
        assert idle is not None
        assert (idle["started"], idle["runId"]) == (False, None)
        run = server.sync()
        frames = watcher.until_done()
    assert {frame["runId"] for frame in frames} == {run}
    assert final(frames) == {"config.json": "success", "onnx/model.onnx": "success"}
    assert (frames[-1]["status"], frames[-1]["percentComplete"], frames[-1]["completedFiles"]) == (
        "completed",
        100,
        2,
    )
    assert [frame["done"] for frame in frames if "file" not in frame].count(True) == 1
    gateways = {message["currentGateway"] for message in flat(frames)}
    assert world.gateways[1].split("//")[1] in gateways
    assert any(message["retryCount"] for message in flat(frames) if message.get("file") == "onnx/model.onnx")
    assert any(0 < frame["percentComplete"] < 100 for frame in frames)
    assert {"file" in frame for frame in frames} == {True, False}, "a client that reads tops alone sees both"
    times = [at for at, _ in watcher.seen]
    for first, fifth in zip(times, times[4:], strict=False):
        assert fifth - first > 0.8, "more than four frames in a second"


def test_one_that_connects_in_the_middle_is_told_how_things_stand(server: Server, world: World) -> None:
    rule = world.add("gateway1", fault({"name": "bandwidth", "rate": 500}))
    run = server.sync()
    until(lambda: server.get(f"api/models/sync/{run}")["progress"]["bytesDownloaded"] >= 300_000)
    with server.watch() as watcher:
        snapshot = watcher.frame()
        assert snapshot is not None
        assert (snapshot["runId"], snapshot["status"], snapshot["completedFiles"]) == (run, "downloading", 1)
        files = {message["file"]: message for message in snapshot["also"]}
        assert files["config.json"]["done"]
        assert 0 < files["onnx/model.onnx"]["bytesDownloaded"] < 3_000_000
        assert files["onnx/model.onnx"]["totalBytes"] == 3_000_000
        world.remove(rule)
    assert server.over(run)["status"] == "completed"


def test_many_files_in_little_time_are_all_told(tmp_path: Path) -> None:
    """Three hundred ends within a second or two: four frames a second, and none is missing."""
    with World(MANY, size="full") as world, Server(world, tmp_path, "--jobs", "8") as server:
        with server.watch() as watcher:
            watcher.frame()
            server.sync()
            frames = watcher.until_done()
            assert set(final(frames).values()) == {"success"}
            assert len(final(frames)) == 300
            assert max(len(frame.get("also", ())) for frame in frames) <= 256
        with server.watch() as watcher:
            snapshot = [watcher.frame(), watcher.frame()]
            assert len(final([frame for frame in snapshot if frame])) == 300


def test_runs_one_after_the_other_are_all_told(server: Server) -> None:
    server.over(server.sync())
    with server.watch() as watcher:
        watcher.frame()
        runs = [server.over(server.sync())["run"] for _ in range(5)]
        ended: list[str] = []
        while len(ended) < 5:
            ended += [
                message["runId"]
                for message in flat(watcher.until_done())
                if message["done"] and "file" not in message
            ]
    assert ended == runs


def test_two_hundred_clients_are_all_told_the_end(server: Server, world: World) -> None:
    world.add("gateway1", fault({"name": "bandwidth", "rate": 1500}))
    url = f"{server.url.replace('http', 'ws', 1)}sync"

    async def client(ready: asyncio.Semaphore) -> list[dict[str, Any]]:
        frames = []
        async with connect(url, proxy=None) as connection:
            while True:
                frame = json.loads(await connection.recv())
                frames.append(frame)
                if not frame["started"]:
                    ready.release()
                if "file" not in frame and frame["done"]:
                    return frames

    async def watched() -> list[list[dict[str, Any]]]:
        ready = asyncio.Semaphore(0)
        clients = [asyncio.create_task(client(ready)) for _ in range(200)]
        for _ in clients:
            await ready.acquire()
        await asyncio.to_thread(server.sync)
        return await asyncio.gather(*clients)

    told = asyncio.run(asyncio.wait_for(watched(), 50))
    assert len(told) == 200
    for frames in told:
        assert final(frames) == {"config.json": "success", "onnx/model.onnx": "success"}
        VALIDATOR.validate(frames[-1])
    assert {json.dumps(frames[-1], sort_keys=True) for frames in told} == {
        json.dumps(told[0][-1], sort_keys=True)
    }


def deaf(server: Server, *, say: bytes = b"") -> socket.socket:
    """A WebSocket client with the smallest buffers, that will never read."""
    parts = urlsplit(server.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.connect((parts.hostname, parts.port))
    client.sendall(
        f"GET {parts.path}sync HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        + say
    )
    return client


def test_one_that_never_reads_slows_nobody_and_is_left_behind_at_the_end(tmp_path: Path) -> None:
    """The download, another client, and SIGTERM do as if it were not there."""
    with World(MANY, size="full") as world, Server(world, tmp_path, "--jobs", "8") as server:
        clients = [deaf(server) for _ in range(20)]
        with server.watch() as watcher:
            watcher.frame()
            for _ in range(3):
                server.sync("api/models/verify")
                assert len(final(watcher.until_done())) == 300
        began = time.monotonic()
        assert server.end() == (0, "")
        print(f"\nSIGTERM with 20 clients that never read: {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 10
        for client in clients:
            client.close()


def test_one_that_talks_is_let_go(server: Server) -> None:
    with server.watch() as watcher:
        watcher.frame()
        try:
            for _ in range(100):
                watcher.say("hello")
        except ConnectionClosed:
            pass
        assert watcher.frame() is None
        assert watcher.closed == (1008, "nothing is to be said here")


def test_one_too_many_is_told_to_come_back(world: World, tmp_path: Path) -> None:
    with Server(world, tmp_path, environment={"FALLBACK_SERVE_CLIENTS": "2"}) as server:
        with server.watch() as one, server.watch() as two, server.watch() as three:
            assert one.frame() is not None
            assert two.frame() is not None
            assert three.frame() is None
            assert three.closed is not None
            assert three.closed[0] == 1013
        until(lambda: "fallback_websocket_clients 0.0" in server.ask("GET", "metrics").text)
        with server.watch() as four:
            assert four.frame() is not None
