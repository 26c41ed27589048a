"""The service as its users meet it: what each route answers, and how runs begin, are joined, cancelled and end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from fakes.faults import fault_from_dict as fault
from fakes.world import World
from tests.flow.conftest import MODELS
from tests.flow.serving import Server, flat
from tests.flow.told import ONNX, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STALL = {"name": "stall", "offset": 2_000_000}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="server")
def _server(world: World, tmp_path: Path) -> Iterator[Server]:
    with Server(world, tmp_path) as server:
        yield server
        code, said = server.end()
        assert (code, said) == (0, "")


def bodies(world: World) -> dict[str, int]:
    paths = [entry.path for entry in world.journal.entries() if entry.method == "GET"]
    return {path: paths.count(path) for path in paths}


def test_a_sync_is_begun_watched_and_over(server: Server, world: World) -> None:
    run = server.over(server.sync())
    assert (run["status"], run["error"], run["models"]) == ("completed", None, ["tiny"])
    assert (run["summary"]["ok"], run["progress"]["status"]) == (True, "completed")
    assert {file["file"]: file["source"] for file in run["files"]} == {
        "config.json": "ipfs",
        "onnx/model.onnx": "ipfs",
    }
    assert set(bodies(world).values()) == {1}
    (model,) = server.get("api/models")["models"]
    assert model["model_id"] == "whisper"
    assert model["version"]["state"] in {"unknown", "unpinned"}
    assert [(file["state"], file["layer"]) for file in model["files"]] == [("present", "ipfs")] * 2
    assert server.get("api/models/sync")["runs"][0]["run"] == run["run"]


def test_a_second_call_joins_the_run_that_is_under_way(server: Server, world: World) -> None:
    rule = world.add("gateway1", fault({"name": "stall", "offset": 1000, "seconds": 30}), path=ONNX)
    first = server.ask("POST", "api/models/sync").json()
    second = server.ask("POST", "api/models/sync", json={"models": ["tiny"]}).json()
    assert (first["run"], first["is_joined"]) == (second["run"], False)
    assert (second["is_joined"], second["joined"]) == (True, 1)
    other = server.ask("POST", "api/models/verify").json()
    assert other["run"] != first["run"], "to verify is not the same"
    world.remove(rule)
    assert server.over(first["run"])["status"] == "completed"
    assert server.over(other["run"])["status"] == "completed"


def test_a_cancelled_run_is_resumed_by_the_next(server: Server, world: World) -> None:
    world.add("gateway1", fault(STALL), path=ONNX, first=1)
    run = server.sync()
    until(lambda: any(entry.bytes_sent >= 2_000_000 for entry in world.journal.entries()))
    time.sleep(0.2)
    assert server.ask("DELETE", f"api/models/sync/{run}").status_code == 202
    cancelled = server.over(run)
    assert (cancelled["status"], cancelled["progress"]["status"]) == ("paused", "paused")
    assert server.ask("DELETE", f"api/models/sync/{run}").status_code == 200
    (download,) = (row for row in server.get("api/downloads")["downloads"] if row["status"] == "paused")
    again = server.sync(f"api/downloads/{download['id']}/resume")
    assert server.over(again)["status"] == "completed"
    assert world.journal.select(path=ONNX)[-1].range is not None
    assert server.ask("POST", f"api/downloads/{download['id']}/resume").status_code == 409


def test_a_failed_run_does_not_stick(world: World, server: Server) -> None:
    """The error names each source, stays in the status until the next run, and that one starts afresh."""
    world.add("*", fault({"name": "status", "status": 503}))
    failed = server.over(server.sync())
    assert failed["status"] == "error"
    assert all(gateway.split("//")[1] in failed["error"] for gateway in world.gateways)
    with server.watch() as watcher:
        snapshot = watcher.frame()
        assert snapshot is not None
        assert (snapshot["status"], snapshot["done"], snapshot["error"]) == ("error", True, failed["error"])
        world.clear()
        assert server.over(server.sync())["status"] == "completed"
        assert watcher.until_done()[-1]["status"] == "completed"


def test_verify_hashes_everything_and_mends(server: Server, world: World) -> None:
    server.over(server.sync())
    target = server.models_dir / "org/tiny/config.json"
    about = target.stat()
    target.write_bytes(b"x" * about.st_size)
    assert server.over(server.sync("api/models/verify"))["status"] == "completed"
    assert target.read_bytes() != b"x" * about.st_size
    assert bodies(world)[world.journal.select(path="*config.json")[0].path] == 2


def test_a_manifest_that_cannot_be_used_is_said_where_and_what(server: Server, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"m": {"files": {"../../etc/passwd": {"size": 1}}}}')
    for method, path in (("GET", "api/models"), ("POST", "api/models/sync")):
        answer = server.ask(method, path)
        assert answer.status_code == 409
        assert "cannot be used" in answer.json()["error"]


def test_the_original_s_four_endpoints(server: Server) -> None:
    server.over(server.sync())
    (record, *_) = server.get("api/metrics/downloads")["metrics"]
    wanted = "timestamp modelType layer gateway status latency_ms bytes_downloaded bytes_total error_type error_message"
    assert set(wanted.split()) <= set(record)
    assert server.get("api/metrics/downloads/summary")["ipfs"]["success"] == 2
    assert server.get("api/metrics/downloads/health")["ipfs"]["status"] == "healthy"
    assert server.ask("POST", "api/metrics/downloads/reset").json() == {
        "ok": True,
        "message": "metrics were reset",
    }
    assert server.get("api/metrics/downloads") == {"metrics": []}


def test_sources_say_how_they_are_and_why(server: Server, world: World) -> None:
    world.add("gateway1", fault({"name": "status", "status": 503, "retry_after": 60}))
    server.over(server.sync())
    first, second, *_ = server.get("api/sources")["sources"]
    assert first["state"] == "cooling"
    assert 1 <= first["attempts"]["error"] <= 2, "of two files at the same time"
    assert "503" in first["reason"]
    assert (second["state"], second["attempts"]["success"]) == ("up", 2)


def test_prometheus_counts_attempts_bytes_errors_hits_and_states(server: Server, world: World) -> None:
    world.add("gateway1", fault({"name": "status", "status": 404}))
    server.over(server.sync())
    server.over(server.sync())
    answer = server.ask("GET", "metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    one, two = (gateway.split("//")[1] for gateway in world.gateways[:2])
    for line in (
        f'fallback_attempts_total{{gateway="{one}",layer="ipfs",outcome="not_here"}} 2.0',
        f'fallback_errors_total{{gateway="{one}",layer="ipfs",type="not_here"}} 2.0',
        f'fallback_received_bytes_total{{gateway="{two}",layer="ipfs"}} 3.0009e+06',
        f'fallback_attempt_seconds_count{{gateway="{two}",layer="ipfs"}} 2.0',
        "fallback_cache_hits_total 2.0",
        'fallback_runs_total{status="completed"} 2.0',
        f'fallback_source_state{{gateway="{one}",layer="ipfs",state="up"}} 1.0',
        "fallback_websocket_clients 0.0",
    ):
        assert line in answer.text.splitlines(), answer.text
    assert server.session.get(f"{server.origin}/metrics", timeout=5).status_code == 200
    assert server.session.get(f"{server.origin}/healthz", timeout=5).json() == {"ok": True}


def test_the_page_may_load_its_own_script_and_nothing_else(server: Server) -> None:
    answer = server.ask("GET", "")
    policy = answer.headers["content-security-policy"]
    assert "<script>" in answer.text
    assert "script-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert server.session.get(f"{server.origin}/", timeout=5).url == server.url


def test_another_prefix_and_none(world: World, tmp_path: Path) -> None:
    for number, prefix in enumerate(("/a/b", "")):
        with Server(world, tmp_path / str(number), "--base-url", prefix) as server:
            assert server.url.endswith(f"{prefix}/")
            assert server.over(server.sync())["status"] == "completed"
            assert server.get("openapi.json")["servers"] == [{"url": prefix or "/"}]


def test_sigterm_during_a_sync_says_why_keeps_what_came_and_exits_with_0(
    world: World, tmp_path: Path
) -> None:
    world.add("gateway1", fault({"name": "bandwidth", "rate": 500}))
    with Server(world, tmp_path) as server, server.watch() as watcher:
        run = server.sync()
        until(lambda: server.get(f"api/models/sync/{run}")["progress"]["bytesDownloaded"] >= 300_000)
        began = time.monotonic()
        code, said = server.end()
        seconds = time.monotonic() - began
        print(f"\nSIGTERM during a sync: exit {code} after {seconds:.2f} s")
        assert (code, said) == (0, "")
        while watcher.frame() is not None:
            pass
        assert watcher.closed == (1001, "the server is stopping")
    (partial,) = [path for path in server.models_dir.rglob("*.partial") if path.stat().st_size > 100_000]
    world.clear()
    size = partial.stat().st_size
    with Server(world, tmp_path) as server:
        assert server.over(server.sync())["status"] == "completed"
    last = world.journal.select(path=ONNX)[-1]
    assert last.range == f"bytes={size}-"


def test_a_server_that_waits_for_a_silent_source_ends_as_soon(world: World, tmp_path: Path) -> None:
    """Nothing has come for a while, and no thread looks at anything but its socket."""
    world.add("*", fault({"name": "hang"}))
    with Server(world, tmp_path, environment={"FALLBACK_TIMEOUT_S": "60"}) as server:
        server.sync()
        until(lambda: len(world.journal.entries()) >= 1)
        began = time.monotonic()
        assert server.end(signal.SIGINT) == (0, "")
        print(f"\nSIGINT while a source is silent: {time.monotonic() - began:.2f} s")


def test_a_server_that_waits_for_a_body_ends_as_soon_and_says_so(world: World, tmp_path: Path) -> None:
    """What will not come is answered, and is no mistake of ours to be told on stderr."""
    with Server(world, tmp_path) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=20) as client:
            head = f"POST /gm/api/models/sync HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9\r\n\r\n"
            client.sendall(head.encode())
            server.get("healthz")
            assert server.end() == (0, "")
            answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the server is stopping" in answer


@pytest.mark.parametrize(
    ("args", "environment", "said"),
    [
        (["--host", "0.0.0.0"], {}, "serve_token must be set"),
        (["--host", "example.org"], {}, "is not an IP address"),
        (["--port", "70000"], {}, "serve_port"),
        (["--base-url", "gm"], {}, "is not a path like /gm"),
        (["--host", "192.0.2.1", "--token", "x"], {}, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything(
    args: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fallback", "serve", *args],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_command_loads_the_server() -> None:
    """`import fallback`, and each command's help, need none of the extra."""
    code = (
        "import sys, fallback, fallback.cli.main;"
        "print(*(name for name in ('starlette', 'uvicorn', 'websockets', 'prometheus_client') if name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == ""


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError(name='starlette')")
    done = subprocess.run(
        [sys.executable, "-c", "from fallback.cli import main; main()", "serve"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'fallback[serve]'" in done.stderr


def test_flat_gives_every_message() -> None:
    assert list(flat([{"a": 1, "also": [{"b": 2}]}])) == [{"b": 2}, {"a": 1}]
