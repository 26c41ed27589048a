"""A machine gives its verified files to another: the server's side, and a peer as a source."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fakes.faults import fault_from_dict as fault
from fakes.world import World
from fallback import Manifest, sync
from fallback.events import AttemptEnded, FileCompleted
from tests.flow.conftest import MODELS
from tests.flow.serving import Server
from tests.flow.told import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import requests

    from fallback import Settings

NOBODY = "http://127.0.0.1:9"
SHARES = {"FALLBACK_SHARE": "true"}
TOKEN = "canary-share-77ab1c"


@pytest.fixture(name="giver")
def _giver(world: World, tmp_path: Path) -> Iterator[Server]:
    """A machine that has all files, and shares them."""
    with Server(world, tmp_path / "giver", environment=SHARES) as server:
        assert server.over(server.sync())["status"] == "completed"
        yield server
        assert server.end() == (0, "")


def digest(world: World, path: str = "onnx/model.onnx") -> str:
    return str(world.manifest()["tiny"]["files"][path]["sha256"])


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.session.request(method, f"{server.origin}/{path}", headers=named, timeout=20)


def test_a_verified_file_is_served_whole_and_in_parts(giver: Server, world: World) -> None:
    sha256 = digest(world)
    whole = ask(giver, f"files/sha256/{sha256}")
    assert (whole.status_code, hashlib.sha256(whole.content).hexdigest()) == (200, sha256)
    assert whole.headers["etag"] == f'"{sha256}"'
    assert whole.headers["content-length"] == "3000000"
    assert whole.headers["accept-ranges"] == "bytes"
    part = ask(giver, f"gm/files/sha256/{sha256}", Range="bytes=1000000-1999999")
    assert (part.status_code, part.headers["content-range"]) == (206, "bytes 1000000-1999999/3000000")
    assert part.content == whole.content[1_000_000:2_000_000]
    beyond = ask(giver, f"files/sha256/{sha256}", Range="bytes=3000000-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */3000000")
    head = ask(giver, f"files/sha256/{sha256}", "HEAD")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "3000000", b"")
    same = ask(giver, f"files/sha256/{sha256}", If_None_Match=f'"{sha256}"')
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", f'"{sha256}"')
    assert ask(giver, f"files/sha256/{sha256}", "DELETE").status_code == 405
    assert "fallback_shared_bytes_total 4e+06" in ask(giver, "metrics").text


def test_what_is_not_here_is_a_404(giver: Server) -> None:
    for name in ("0" * 64, "A" * 64, "..%2f..%2fetc%2fpasswd", "x", "x" * 2000):
        assert ask(giver, f"files/sha256/{name}").status_code == 404, name


def test_a_file_that_was_touched_is_served_no_more(giver: Server, world: World) -> None:
    target = giver.models_dir / "org/tiny/onnx/model.onnx"
    data = bytearray(target.read_bytes())
    data[5] ^= 1
    target.write_bytes(data)
    assert ask(giver, f"files/sha256/{digest(world)}").status_code == 404


def test_files_are_shared_only_when_asked_to(world: World, tmp_path: Path) -> None:
    with Server(world, tmp_path) as server:
        server.over(server.sync())
        assert ask(server, f"files/sha256/{digest(world)}").status_code == 404
        assert "/files/sha256/{sha256}" not in server.get("openapi.json")["paths"]


def test_a_token_for_files_opens_nothing_else(world: World, tmp_path: Path) -> None:
    environment = {**SHARES, "FALLBACK_SERVE_TOKEN": "the-other-one", "FALLBACK_SHARE_TOKEN": TOKEN}
    with Server(world, tmp_path, environment=environment) as server:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        path = f"files/sha256/{'0' * 64}"
        assert ask(server, path).status_code == 401
        assert ask(server, path, Authorization="Bearer wrong").status_code == 401
        assert ask(server, path, **bearer).status_code == 404
        assert ask(server, path, Authorization="Bearer the-other-one").status_code == 404
        assert ask(server, "gm/api/models", **bearer).status_code == 401
        assert ask(server, "metrics", **bearer).status_code == 401
        assert ask(server, "gm/files/../api/models", **bearer).status_code in {401, 404}


def test_a_network_gets_files_and_nothing_else_without_a_token(world: World, tmp_path: Path) -> None:
    """On an address of others, `--share` alone shares alone: the API still wants a token."""
    environment = {**SHARES, "FALLBACK_SERVE_HOST": "0.0.0.0"}
    with Server(world, tmp_path, environment=environment) as server:
        server.origin = f"http://127.0.0.1:{urlsplit(server.url).port}"
        assert ask(server, f"files/sha256/{'0' * 64}").json() == {"error": "there is no such file"}
        assert ask(server, "healthz").status_code == 200
        for path in ("", "gm/", "gm/api/models", "metrics", "openapi.json", "gm/api/metrics/downloads"):
            assert ask(server, path).status_code == 404, path
        assert ask(server, "gm/api/models/sync", "POST").status_code == 404


def test_transfers_are_bounded_and_a_slow_client_ends(tmp_path: Path) -> None:
    """One that takes nothing holds its place until it is cut off; who comes meanwhile is told when to come again."""
    environment = {**SHARES, "FALLBACK_SHARE_TRANSFERS": "1"}
    files = {
        "config.json": {"size": 900},
        "onnx/model.onnx": {"size": 20_000_000},
    }  # more than a socket holds
    with (
        World({"tiny": MODELS["tiny"] | {"files": files}}, size="full") as world,
        Server(world, tmp_path, environment=environment) as server,
    ):
        server.over(server.sync())
        sha256 = digest(world)
        host, port = "127.0.0.1", urlsplit(server.origin).port
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((host, port))
            slow.sendall(f"GET /files/sha256/{sha256} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
            refused = ask(server, f"files/sha256/{sha256}")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert server.get("healthz"), "the others are answered"
        ends_at = time.monotonic() + 10
        while ask(server, f"files/sha256/{sha256}").status_code == 503:
            assert time.monotonic() < ends_at
            time.sleep(0.05)


def test_the_servers_end_cuts_off_who_takes_nothing(world: World, tmp_path: Path) -> None:
    with Server(world, tmp_path, environment=SHARES) as server:
        server.over(server.sync())
        host, port = "127.0.0.1", urlsplit(server.origin).port
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((host, port))
            slow.sendall(f"GET /files/sha256/{digest(world)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
            began = time.monotonic()
            assert server.end() == (0, "")
            assert time.monotonic() - began < 10


def test_a_peer_is_asked_first_and_nobody_else(
    giver: Server, world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    asked = len(world.journal.entries())
    told: list[Any] = []
    # On a busy machine, too, nobody is asked because the peer's first byte took long.
    patient = replace(settings, peers=(giver.origin,), timeout_s=20, patience_s=20)
    summary = sync(manifest, settings=patient, observer=told.append)
    assert summary.ok
    assert all_right()
    assert len(world.journal.entries()) == asked
    completed = [event for event in told if isinstance(event, FileCompleted)]
    assert {(event.layer, event.source) for event in completed} == {
        ("peer", giver.origin.removeprefix("http://"))
    }


def test_a_token_goes_to_listed_peers(
    world: World, manifest: Manifest, settings: Settings, tmp_path: Path, all_right: Callable[[], bool]
) -> None:
    with Server(world, tmp_path / "giver", environment={**SHARES, "FALLBACK_SHARE_TOKEN": TOKEN}) as giver:
        giver.over(giver.sync())
        peers = replace(settings, peers=(giver.origin,), gateways=(), hf_endpoint="http://127.0.0.1:9")
        refused = sync(manifest, settings=replace(peers, hub_attempts=1, peer_token="wrong"))
        assert "this peer wants another token (401): set FALLBACK_PEER_TOKEN" in refused.failures[0].error
        assert sync(manifest, settings=replace(peers, peer_token=TOKEN)).ok
        assert all_right()


def test_a_peer_leads_nowhere_else(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    """Neither to a server of the same network, nor to one that would have the file."""
    to: list[str] = []

    def redirect() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                to.append(connection.recv(4096).decode().split()[1])
                answer = f"HTTP/1.1 302 Found\r\nLocation: {world.hub}/elsewhere\r\nContent-Length: 0\r\n"
                connection.sendall(f"{answer}Connection: close\r\n\r\n".encode())

    told: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=redirect, daemon=True).start()
        peer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert sync(manifest, settings=replace(settings, peers=(peer,)), observer=told.append).ok
        listening.shutdown(socket.SHUT_RDWR)
    assert all_right()
    assert set(to) == {f"/files/sha256/{digest(world, path)}" for path in ("config.json", "onnx/model.onnx")}
    assert not [entry for entry in world.journal.entries() if entry.path == "/elsewhere"]
    reasons = {event.reason for event in told if isinstance(event, AttemptEnded) and event.layer == "peer"}
    assert "redirect refused (302): a peer leads nowhere else" in reasons


def test_a_peer_is_asked_past_the_proxy(
    giver: Server, manifest: Manifest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    peers = replace(settings, peers=(giver.origin,), gateways=(), hf_endpoint="http://127.0.0.1:9")
    assert sync(manifest, settings=peers).ok


def test_peers_that_are_gone_cost_little(
    world: World, manifest: Manifest, settings: Settings, all_right: Callable[[], bool]
) -> None:
    """Refused at once, they are asked once in all and not once a file."""
    dead = []
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            dead.append(f"http://127.0.0.1:{closed.getsockname()[1]}")
    told: list[Any] = []
    patient = replace(settings, peers=tuple(dead), jobs=1, backoff_s=30)
    assert sync(manifest, settings=patient, observer=told.append).ok
    assert all_right()
    ended = [event for event in told if isinstance(event, AttemptEnded) and event.layer == "peer"]
    assert [event.outcome for event in ended] == ["unreachable"] * 3


def test_what_is_here_of_a_file_on_its_way_is_given(
    world: World, settings: Settings, tmp_path: Path, all_right: Callable[[], bool]
) -> None:
    """Two machines at once: the second takes from the first the chunks it has, and the rest from elsewhere."""
    sha256, one, two = digest(world), 1 << 20, 2 << 20
    rule = world.add("gateway1", fault({"name": "stall", "offset": two + 5000}), path="*model.onnx")
    slow = {
        "FALLBACK_GATEWAYS": world.gateways[0],
        "FALLBACK_HF_ENDPOINT": NOBODY,
        "FALLBACK_TIMEOUT_S": "30",
    }
    with Server(world, tmp_path / "giver", environment={**SHARES, **slow}) as giver:
        giver.sync()
        # What the giver waits for with its next piece, a MiB at most, is not on its disk.
        until(lambda: ask(giver, f"files/sha256/{sha256}", Range=f"bytes={one - 1}-").status_code == 206)
        part = ask(giver, f"files/sha256/{sha256}", Range="bytes=0-")
        assert part.status_code == 206
        assert len(part.content) in {one, two}
        assert part.headers["content-range"] == f"bytes 0-{len(part.content) - 1}/3000000"
        assert part.headers["etag"] == f'"{sha256}"'
        assert ask(giver, f"files/sha256/{sha256}", Range=f"bytes={two}-").status_code == 404
        assert ask(giver, f"files/sha256/{sha256}").status_code == 404, "all of it was asked for"
        assert ask(giver, f"files/sha256/{sha256}", "HEAD").status_code == 404
        world.remove(rule)
        seen = len(world.journal.entries())
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        taker = replace(settings, peers=(giver.origin,), gateways=tuple(world.gateways[1:]))
        assert sync(manifest, settings=taker).ok
        asked = [entry for entry in world.journal.entries()[seen:] if entry.path.endswith("model.onnx")]
    assert all_right()
    given = 3_000_000 - sum(entry.bytes_sent for entry in asked)
    assert len(part.content) <= given
    assert given in {one, two}
