from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from fakes.catalogue import Catalogue
from fakes.faults import AcceptSilent, Dribble, Endless, Refused, Stall, Status
from fakes.pinata import JWT
from fakes.scenarios import Scenario, shipped
from fakes.world import World

if TYPE_CHECKING:
    from tests.unit.fakes.conftest import Talk


def test_every_file_of_the_builtin_manifest_is_everywhere() -> None:
    with World() as world, requests.Session() as session:
        manifest = world.manifest()
        for model in manifest.values():
            hub = model["huggingface"]
            kind = "datasets/" if hub["repo_type"] == "dataset" else ""
            folder = f"{hub['path']}/" if hub["path"] else ""
            for path, file in model["files"].items():
                roots = [f"{gateway}/ipfs/{model['ipfs']['cid']}" for gateway in world.gateways]
                roots.append(
                    f"{world.hub}/{kind}{hub['repo']}/resolve/{hub['revision']}/{folder}".rstrip("/")
                )
                for root in roots:
                    content = session.get(f"{root}/{path}", timeout=5).content
                    assert len(content) == file["size"]
                    assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert {entry.ended for entry in world.journal} == {"complete"}


def test_what_a_world_says_of_itself(world: World) -> None:
    assert list(world.urls) == [
        "gateway1",
        "gateway2",
        "gateway3",
        "gateway4",
        "hub",
        "cdn",
        "pinata",
        "kubo",
    ]
    assert world.gateways == [world.urls[f"gateway{number}"] for number in (1, 2, 3, 4)]
    assert len({*world.urls.values(), world.control}) == 9
    assert all(urlsplit(url).hostname == "127.0.0.1" for url in world.urls.values())
    assert world.environment() == {
        "FALLBACK_GATEWAYS": ",".join(world.gateways),
        "FALLBACK_HF_ENDPOINT": world.hub,
        "HF_ENDPOINT": world.hub,
        "FALLBACK_PINATA_API": world.pinata,
        "FALLBACK_PINATA_UPLOADS": world.pinata,
        "FALLBACK_KUBO_API": world.kubo,
        "PINATA_JWT": JWT,
    }


def test_a_catalogue_can_be_shared_and_gateways_counted(tiny: dict[str, Any]) -> None:
    catalogue = Catalogue(tiny)
    with World(catalogue, gateways=1) as one, World(catalogue, gateways=2) as two:
        assert one.manifest() == two.manifest()
        assert (len(one.gateways), len(two.gateways)) == (1, 2)


def test_rules_come_and_go(world: World, big: str, talk: Talk) -> None:
    assert talk(big).status == 200
    number = world.add("gateway*", Status(404))
    other = world.add("gateway*", Status(500), path="*.json")
    assert talk(big).status == 404
    world.remove(number)
    assert talk(big).status == 200
    world.remove(other)
    with pytest.raises(KeyError):
        world.remove(number)
    world.add("gateway1", Status(404), first=1)
    assert [talk(big).status for _ in range(2)] == [404, 200]


def test_a_rule_for_no_server_is_refused(world: World) -> None:
    """It would never strike, and nobody would know why."""
    with pytest.raises(ValueError, match=r"no server is called 'gatway1'; there are gateway1, "):
        world.add("gatway1", Status(404))


def test_a_scenario_replaces_everything(world: World, big: str, talk: Talk) -> None:
    world.add("gateway1", Status(404))
    world.play(shipped("everything-down"))
    with pytest.raises(ConnectionRefusedError):
        talk(big)
    assert world.scenario() == shipped("everything-down")
    world.clear()
    assert talk(big).status == 200
    assert world.scenario() == Scenario("healthy")


def test_a_scenario_can_be_there_from_the_start(tiny: dict[str, Any]) -> None:
    for scenario in ("everything-down", shipped("everything-down")):
        with World(tiny, scenario=scenario) as world, pytest.raises(requests.ConnectionError):
            requests.get(world.gateways[0], timeout=5)
    with pytest.raises(ValueError, match="shipped: healthy"):
        World(tiny, scenario="nope")


def test_a_world_that_fails_to_start_leaves_nothing(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count(), open_sockets()
    monkeypatch.setattr("fakes.world.Hub", None)
    with pytest.raises(TypeError), World(tiny):
        pass
    assert (threading.active_count(), open_sockets()) == before


def open_sockets() -> int:
    links = []
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            links.append(str(number.readlink()))
    return sum("socket:" in link or "anon_inode:" in link for link in links)


def test_a_world_ends_at_once_and_leaves_nothing(tiny: dict[str, Any]) -> None:
    """With connections held, stalled, dribbled to, flooded and idle; each client is told by a RST or a FIN."""
    before = threading.active_count(), open_sockets()
    clients = []
    with World(tiny, size="full") as world:
        world.add("gateway1", Stall())
        world.add("gateway2", Dribble(bytes_per_s=1))
        world.add("gateway3", Endless())
        world.add("gateway4", AcceptSilent())
        cid = world.manifest()["tiny"]["ipfs"]["cid"]
        request = f"GET /ipfs/{cid}/onnx/big%20one.bin HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        for url in [*world.gateways, world.hub, world.cdn] * 5:
            parts = urlsplit(url)
            sock = socket.create_connection((parts.hostname, parts.port), timeout=5)
            sock.sendall(request)
            clients.append(sock)
        assert len(world.journal) == 30
        started = time.monotonic()
    assert time.monotonic() - started < 1
    for sock in clients:
        with sock:
            try:
                while sock.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    assert (threading.active_count(), open_sockets()) == before


def test_an_error_inside_the_block_comes_out(tiny: dict[str, Any]) -> None:
    with pytest.raises(ZeroDivisionError), World(tiny):
        1 / 0  # noqa: B018  # the point


def test_many_threads_may_change_rules_and_read_the_journal(world: World, big: str, talk: Talk) -> None:
    def busy() -> None:
        for _ in range(10):
            number = world.add("gateway2", Refused())
            talk(big)
            assert world.journal.select(server="gateway1")
            world.remove(number)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.journal) == 40
    assert talk(big.replace(world.gateways[0], world.gateways[1])).status == 200
