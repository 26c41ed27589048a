"""What a hostile client gets of the service: fault 113, and the token of P7."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from fakes.world import World
from tests.flow.conftest import MODELS
from tests.flow.serving import Server
from tests.flow.test_watching import deaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-4f1d0b6e2a7c"


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    with World(MODELS, size="small") as world:
        yield world


@pytest.fixture(name="server", scope="module")
def _server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(world, tmp_path_factory.mktemp("server")) as server:
        yield server


def raw(server: Server, data: bytes, seconds: float = 15) -> bytes:
    """What comes back for these bytes, until the other end closes."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as client:
        client.settimeout(seconds)
        answer = b""
        try:
            client.sendall(data)
            while piece := client.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
        return answer


def request(server: Server, target: str, *headers: str, method: str = "GET") -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {urlsplit(server.url).netloc}",
        "Connection: close",
        *headers,
    ]
    return raw(server, "\r\n".join([*lines, "", ""]).encode("latin-1"))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def resident(server: Server) -> int:
    """MB of memory the server's process has."""
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(server.process.pid)], check=True, capture_output=True, text=True
    )
    return int(told.stdout) // 1024


@pytest.mark.fault(113)
@pytest.mark.parametrize(
    "target",
    [
        "/gm/../../../../etc/passwd",
        "/gm/static/../../../etc/passwd",
        "/gm/%2e%2e/%2e%2e/etc/passwd",
        "/gm/..%2f..%2fetc%2fpasswd",
        "/gm/api/models/sync/..%2f..%2f..%2fetc%2fpasswd",
        "/gm/api/models/sync/%00",
        "/gm/api/models/sync/..",
        "/gm/api/downloads/..%2f1/resume",
        "/gm//etc/passwd",
        "//etc/passwd",
        "/gm/static/index.html",
        "/gm/" + "a" * 8000,
        "/gm/\xff\xfe",
        "http://evil.example/gm/nothing",
    ],
)
def test_no_path_reaches_the_file_system(server: Server, target: str) -> None:
    answer = request(server, target)
    assert 400 <= status(answer) < 500, answer
    assert b"root:" not in answer
    assert b"Traceback" not in answer


@pytest.mark.fault(113)
@pytest.mark.parametrize(
    ("path", "method", "headers", "expected"),
    [
        ("api/models", "GET", {"host": "evil.example"}, 421),
        ("", "GET", {"host": "rebound.example:80"}, 421),
        ("api/models/sync", "POST", {"origin": "http://evil.example"}, 403),
        ("api/models/sync", "POST", {"origin": "null"}, 403),
        ("api/models/sync", "POST", {"sec-fetch-site": "cross-site"}, 403),
        ("api/metrics/downloads/reset", "POST", {"origin": "http://127.0.0.1:1"}, 403),
        ("api/models/sync/x", "DELETE", {"origin": "http://evil.example"}, 403),
    ],
)
def test_no_other_site_does_anything(
    server: Server, path: str, method: str, headers: dict[str, str], expected: int
) -> None:
    before = server.get("api/models/sync")
    answer = server.ask(method, path, headers=headers)
    assert (answer.status_code, list(answer.json())) == (expected, ["error"])
    assert "access-control-allow-origin" not in answer.headers
    assert server.get("api/models/sync") == before


@pytest.mark.fault(113)
def test_no_other_site_opens_a_websocket(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.watch(origin="http://evil.example")
    assert refused.value.response.status_code == 403


@pytest.mark.fault(113)
def test_large_bodies_and_heads_are_refused_and_cost_no_memory(server: Server) -> None:
    before = resident(server)
    huge = '{"models": ["' + "a" * 6_000_000 + '"]}'
    assert (
        server.ask(
            "POST", "api/models/sync", data=huge, headers={"content-type": "application/json"}
        ).status_code
        == 413
    )
    for _ in range(5):
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        try:
            connection.request("POST", "/gm/api/models/sync", body=(b"x" * (1 << 20) for _ in range(100)))
            assert connection.getresponse().status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # after the politeness it is cut off
        finally:
            connection.close()
    deep = "[" * 50_000
    assert (
        server.ask(
            "POST", "api/models/sync", data=deep, headers={"content-type": "application/json"}
        ).status_code
        == 400
    )
    assert status(request(server, "/gm/", "X: " + "a" * 20_000)) == 431
    assert status(request(server, "/gm/", "X: " + "a" * 200_000)) in {400, 0}
    assert status(request(server, "/gm/", *(f"X{number}: a" for number in range(5000)))) in {400, 431}
    assert resident(server) - before < 64


@pytest.mark.fault(113)
def test_what_is_no_http_is_answered_in_json(server: Server) -> None:
    answer = raw(server, b"\x16\x03\x01 hello\r\n\r\n")
    assert status(answer) == 400
    assert b'{"error"' in answer
    assert b"content-security-policy" in answer


@pytest.mark.fault(113)
def test_a_websocket_flood_is_bounded(server: Server) -> None:
    """Messages, large ones, and pings of one that reads nothing: each is let go or held still."""
    before = resident(server)
    with server.watch() as watcher:
        watcher.frame()
        watcher.say("x" * 10_000)
        assert watcher.frame() is None
        assert watcher.closed is not None
        assert watcher.closed[0] == 1009
    ping = b"\x89\xfd" + b"\0" * 4 + b"p" * 125
    clients = [deaf(server) for _ in range(5)]

    def flood(client: socket.socket) -> None:
        client.settimeout(1)
        try:
            for _ in range(20_000):
                client.sendall(ping * 20)
        except OSError:
            pass

    threads = [threading.Thread(target=flood, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.get("healthz") == {"ok": True}
    assert resident(server) - before < 64
    for client in clients:
        client.close()


@pytest.mark.nightly
@pytest.mark.fault(113)
def test_heads_that_drip_are_cut_off(server: Server) -> None:
    """Slowloris: a head has ten seconds, however its bytes are spread."""
    parts = urlsplit(server.url)
    began = time.monotonic()
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.settimeout(15)
        client.sendall(b"GET /gm/ HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012 - one of the writes finds out
            while time.monotonic() - began < 14:
                client.sendall(b"X: y\r\n")
                time.sleep(0.3)
    assert 9 < time.monotonic() - began < 14


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("POST", "api/models/sync", {"json": {"models": ["nobody's"]}}, 404),
        ("POST", "api/models/sync", {"json": {"model": ["tiny"]}}, 422),
        ("POST", "api/models/sync", {"data": "{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "api/models/sync", {"data": "models=tiny"}, 415),
        ("PUT", "api/models/sync", {}, 405),
        ("DELETE", "api/models", {}, 405),
        ("GET", "api/models/sync/none", {}, 404),
        ("DELETE", "api/models/sync/none", {}, 404),
        ("POST", "api/downloads/99/resume", {}, 404),
        ("POST", "api/downloads/x/resume", {}, 404),
        ("GET", "nothing", {}, 404),
        ("GET", "sync", {}, 404),
    ],
)
def test_what_cannot_be_is_an_error_in_json(
    server: Server, method: str, path: str, options: dict[str, Any], expected: int
) -> None:
    answer = server.ask(method, path, **options)
    assert (answer.status_code, list(answer.json())) == (expected, ["error"])
    if expected == 405:
        assert set(answer.headers["allow"].split(", ")) & {"GET", "POST"}


@pytest.fixture(name="guarded")
def _guarded(world: World, tmp_path: Path) -> Iterator[Server]:
    """Reachable from elsewhere, as far as it knows, and so with a token."""
    environment = {"FALLBACK_SERVE_TOKEN": CANARY}
    with Server(world, tmp_path, "--host", "0.0.0.0", environment=environment) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        server.origin = server.origin.replace("0.0.0.0", "127.0.0.1")
        yield server


def test_with_a_token_everything_but_health_wants_it(guarded: Server) -> None:
    assert guarded.session.get(f"{guarded.origin}/healthz", timeout=5).status_code == 200
    assert guarded.get("healthz") == {"ok": True}
    for path in (
        "",
        "api/models",
        "api/models/sync",
        "api/sources",
        "metrics",
        "openapi.json",
        "nothing",
        "sync",
    ):
        assert guarded.ask("GET", path).status_code == 401, path
        assert guarded.ask("GET", path, headers={"authorization": "Bearer wrong"}).status_code == 401, path
    with pytest.raises(InvalidStatus) as refused:
        guarded.watch()
    assert refused.value.response.status_code == 401
    bearer = {"authorization": f"Bearer {CANARY}"}
    assert guarded.ask("GET", "api/models", headers=bearer).status_code == 200
    assert guarded.ask("GET", "", auth=("anyone", CANARY)).status_code == 200
    with guarded.watch(additional_headers=bearer) as watcher:
        assert watcher.frame() is not None
    assert (
        "bearer" in guarded.ask("GET", "openapi.json", headers=bearer).json()["components"]["securitySchemes"]
    )


def test_the_token_is_in_no_answer_no_log_and_on_no_disk(guarded: Server, tmp_path: Path) -> None:
    """P7: a canary, sent right and wrong in every way, is found nowhere but where it was set."""
    answers: list[Any] = []
    for headers in ({"authorization": f"Bearer {CANARY}"}, {"authorization": CANARY}, {"x-token": CANARY}):
        for method, path in (
            ("POST", "api/models/sync"),
            ("GET", "api/models"),
            ("GET", "api/models/sync"),
            ("GET", "metrics"),
            ("GET", "openapi.json"),
            ("GET", ""),
            ("GET", f"api/models/sync/{CANARY[:-1]}"),
            ("PATCH", "api/models"),
        ):
            answers.append(guarded.ask(method, path, headers=headers))
    assert {answer.status_code for answer in answers} >= {200, 202, 401, 404, 405}
    raw(
        guarded,
        f"GET /gm/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}\r\nbad header\r\n\r\n".encode(),
    )
    code, said = guarded.end()
    assert (code, said) == (0, "")
    assert not any(CANARY in answer.text + str(answer.headers) for answer in answers)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file
