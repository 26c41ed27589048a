"""Many connections at once, and what is left of a world when it has closed: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fakes.faults import AcceptSilent, HandshakeStall, Hang, Latency, SlowClose, Stall, Timeout
from fakes.world import World

if TYPE_CHECKING:
    from fakes.faults import Fault

SIZE = 300_000
MODELS: dict[str, Any] = {"tiny": {"files": {"model.onnx": {"size": SIZE}}}}
EACH = 100


def request(world: World, gateway: int) -> socket.socket:
    """A connection on which the file was asked for."""
    parts = urlsplit(world.gateways[gateway])
    sock = socket.create_connection((parts.hostname, parts.port), timeout=10)
    path = f"/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/model.onnx"
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return sock


def heard_out(socks: list[socket.socket]) -> list[bytes]:
    """All that comes on each of them to its end, read as it comes."""
    heard = {sock: bytearray() for sock in socks}
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout=10)
            assert ready, "nothing more comes"
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                if data := key.fileobj.recv(1 << 16):
                    heard[key.fileobj] += data
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    return [bytes(data) for data in heard.values()]


@pytest.mark.parametrize("fault", [Hang(), Stall(), AcceptSilent(), Timeout()], ids=lambda fault: fault.name)
def test_a_hundred_stalled_connections_do_not_disturb_a_hundred_healthy_ones(fault: Fault) -> None:
    with World(MODELS, size="full", gateways=2) as world:
        began = time.monotonic()
        alone = heard_out([request(world, 1) for _ in range(EACH)])
        undisturbed = time.monotonic() - began
        world.add("gateway1", fault)
        stalled = [request(world, 0) for _ in range(EACH)]
        began = time.monotonic()
        healthy = heard_out([request(world, 1) for _ in range(EACH)])
        assert time.monotonic() - began < 5 * undisturbed + 2
        digests = {hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest() for data in alone + healthy}
        assert digests == {world.manifest()["tiny"]["files"]["model.onnx"]["sha256"]}
        assert len(world.journal.select("gateway1")) >= EACH
    for sock in stalled:
        sock.close()


def left() -> tuple[list[str], int, int]:
    """Threads, sockets and tasks there are."""
    gc.collect()
    sockets = [each for each in Path("/proc/self/fd").iterdir() if _target(each).startswith("socket")]
    tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task) and not each.done()]
    return sorted(thread.name for thread in threading.enumerate()), len(sockets), len(tasks)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the listing's own
        return ""


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Hang(),
        Stall(),
        AcceptSilent(),
        Timeout(),
        Latency(latency=5_000),
        SlowClose(delay=5_000),
        HandshakeStall(),
    ],
    ids=lambda fault: fault.name if fault else "healthy",
)
def test_nothing_is_left_of_a_world_that_closed(fault: Fault | None) -> None:
    """No thread, no socket, no task: not even with clients in the middle of every kind of wait."""
    before = left()
    with World(MODELS, size="full", gateways=2, https=isinstance(fault, HandshakeStall)) as world:
        if fault is not None:
            world.add("gateway1", fault)
        clients = [request(world, 0) for _ in range(5)]
        clients[0].settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            clients[0].recv(1)
    for client in clients:
        client.close()
    assert left() == before
