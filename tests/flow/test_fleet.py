"""Nodes of a fleet: what one does by itself, from peers that are good, absent, wrong; and all of them together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fallback.fleet.sharing import end_all, warm_and_share
from fallback.fleet.warming import has_all, warm_node
from fallback.server.background import Background
from tests.fleet.lying import in_front_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.world import World
    from fallback import Settings

BYTES = 3_000_900
TOKEN = "canary-fleet-5c11d0"


@pytest.fixture(name="document")
def _document(world: World) -> str:
    return json.dumps(world.manifest())


@pytest.fixture(name="overrides")
def _overrides(settings: Settings) -> dict[str, Any]:
    """The flow tests' settings, as plain data."""
    names = (
        "gateways",
        "hf_endpoint",
        "timeout_s",
        "connect_timeout_s",
        "backoff_s",
        "max_wait_s",
        "reserve_bytes",
    )
    return {name: getattr(settings, name) for name in names} | {"models_dir": str(settings.models_dir)}


@pytest.fixture(name="peer")
def _peer(overrides: dict[str, Any], document: str, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """A node that has all, and shares it."""
    folder = tmp_path / "peer"
    assert warm_node({**overrides, "models_dir": str(folder)}, manifest=document)["ok"]
    shares = replace(settings, models_dir=folder, share=True, share_token=TOKEN, serve_port=0)
    with Background(shares) as background:
        yield background.url


def test_from_outside(overrides: dict[str, Any], document: str, all_right: Callable[[], bool]) -> None:
    assert not has_all(overrides, document)
    told = warm_node(overrides, manifest=document, node="n1")
    assert json.loads(json.dumps(told)) == told
    assert (told["node"], told["ok"], told["files"], told["bytes_by_layer"]) == (
        "n1",
        True,
        2,
        {"ipfs": BYTES},
    )
    assert all_right()
    assert has_all(overrides, document)
    assert warm_node(overrides, manifest=document)["bytes_by_layer"] == {}


def test_from_a_peer(
    world: World, overrides: dict[str, Any], document: str, peer: str, all_right: Callable[[], bool]
) -> None:
    world.journal.clear()
    told = warm_node({**overrides, "peer_token": TOKEN}, peers=[peer], manifest=document)
    assert (told["outside_bytes"], told["peer_bytes"], told["liars"]) == (0, BYTES, [])
    assert all_right()
    assert not world.journal.entries()


@pytest.mark.parametrize("peer_token", [TOKEN, "another"])
def test_peers_that_are_gone_or_refuse_cost_a_way_outside(
    overrides: dict[str, Any], document: str, peer: str, all_right: Callable[[], bool], peer_token: str
) -> None:
    """P5: what nobody of the fleet gives, somebody else does."""
    peers = ["http://127.0.0.1:9"] if peer_token == TOKEN else [peer]
    told = warm_node({**overrides, "peer_token": peer_token}, peers=peers, manifest=document)
    assert (told["ok"], told["outside_bytes"], told["peer_bytes"]) == (True, BYTES, 0)
    assert all_right()


def test_a_peer_that_lies_is_found_out(
    world: World, overrides: dict[str, Any], document: str, peer: str, all_right: Callable[[], bool]
) -> None:
    """It is named, and the next peer has what it did not."""
    liar = in_front_of(peer)
    world.journal.clear()
    try:
        url = f"http://127.0.0.1:{liar.server_port}"
        told = warm_node({**overrides, "peer_token": TOKEN}, peers=[url, peer], manifest=document)
    finally:
        liar.shutdown()
        liar.server_close()
    assert (told["ok"], told["outside_bytes"], told["liars"]) == (True, 0, [f"127.0.0.1:{liar.server_port}"])
    assert all_right()
    assert not world.journal.entries()


def test_what_goes_wrong_on_a_node_is_in_its_report(
    overrides: dict[str, Any], document: str, settings: Settings
) -> None:
    """Each by its kind; nothing is raised."""
    stop = threading.Event()
    stop.set()
    told = [
        warm_node({**overrides, "reserve_bytes": 1 << 62}, manifest=document),
        warm_node({**overrides, "jobs": 0}, manifest=document),
        warm_node(overrides, manifest="{"),
        warm_node(overrides, manifest=document, models=["absent"]),
        warm_node(overrides, manifest=document, stop=stop),
        warm_node({**overrides, "offline": True}, manifest=document),
    ]
    assert [each["problem"] for each in told] == [
        "storage",
        "config",
        "config",
        "config",
        "stopped",
        "unavailable",
    ]
    assert [each["ok"] for each in told] == [False] * 6
    assert "no room" in told[0]["error"]
    assert told[5]["failed"] == 2


def test_a_node_shares_once_it_has_all_and_counts_for_prometheus(
    overrides: dict[str, Any], document: str, tmp_path: Path
) -> None:
    def share(place: int, *peers: str) -> dict[str, Any]:
        own = {**overrides, "models_dir": str(tmp_path / f"node-{place}")}
        return warm_and_share(
            own,
            peers,
            host="127.0.0.1",
            port=0,
            token=TOKEN,
            manifest=document,
            node=f"n{place}",
            observer=lambda _event: None,
        )

    try:
        first = share(1)
        second = share(2, first["url"])
        assert (second["outside_bytes"], second["peer_bytes"]) == (0, BYTES)
        assert share(2, first["url"])["url"] == second["url"], "there is one server a folder"
        metrics = requests.get(
            f"{second['url']}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
        )
        assert 'fallback_received_bytes_total{gateway="127.0.0.1:' in metrics.text
        assert requests.get(f"{second['url']}/metrics", timeout=10).status_code == 401
    finally:
        end_all()
    with pytest.raises(requests.ConnectionError):
        requests.get(first["url"], timeout=10)
    assert share(3)["problem"] == ""
    end_all()


def test_a_node_that_cannot_share_has_all_the_same(
    overrides: dict[str, Any], document: str, all_right: Callable[[], bool]
) -> None:
    """Its port is somebody else's: its report says so, and has no address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = warm_and_share(
            overrides,
            (),
            host="127.0.0.1",
            port=port,
            token=TOKEN,
            manifest=document,
            node="n1",
            observer=lambda _event: None,
        )
    assert (told["ok"], told["outside_bytes"], told["url"]) == (True, BYTES, "")
    assert f"cannot listen on 127.0.0.1 port {port}" in told["unshared"]
    assert all_right()
    bad = warm_and_share(
        {**overrides, "jobs": 0},
        (),
        host="127.0.0.1",
        port=0,
        token=TOKEN,
        manifest=document,
        node="n1",
        observer=lambda _event: None,
    )
    assert (bad["problem"], bad["url"], bad["unshared"]) == ("config", "", "")


def test_two_nodes_of_which_one_has_no_folder(world: World, tmp_path: Path) -> None:
    """Processes on this machine: the table names who failed and why, the other is right, the exit code is 1.

    Each has a state of its own, wherever this machine's is.
    """
    (tmp_path / "nodes/node-1").mkdir(parents=True)
    (tmp_path / "nodes/node-1/org").write_text("in the way")
    (tmp_path / "manifest.json").write_text(json.dumps(world.manifest()))
    command = [sys.executable, "-m", "fallback", "fleet", "sync", "--scheduler", "local", "--nodes", "2"]
    command += [
        "--folder",
        str(tmp_path / "nodes"),
        "--manifest",
        str(tmp_path / "manifest.json"),
        "--timeout",
        "50",
    ]
    command += ["--hf-endpoint", world.hub, "--gateway", world.gateways[0]]
    environment = os.environ | {"FALLBACK_RESERVE_BYTES": "0", "FALLBACK_STATE_DIR": str(tmp_path / "state")}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=55)
    assert answer.returncode == 1, answer.stderr
    rows = {
        line.split()[0]: line.split()[1:] for line in answer.stderr.splitlines() if line.startswith("node-")
    }
    assert rows["node-0"][:5] == ["ok", "0", "2", f"{BYTES:,}", "0"]
    assert rows["node-1"][0] == "storage"
    assert "a file stands where a folder has to be" in answer.stderr
    assert "1 of 2 nodes have all" in answer.stderr
    assert (tmp_path / "nodes/node-0/org/tiny/onnx/model.onnx").stat().st_size == 3_000_000
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["node-0", "node-1"]
    assert (tmp_path / "state/node-0/state.sqlite3").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheduler", "local"], "--nodes N and --folder DIR"),
        (
            ["--scheduler", "local", "--nodes", "2", "--folder", "f", "--share-port", "8484"],
            "--share-port: 2 nodes on one machine cannot share one port",
        ),
        (["--scheduler", "tcp://127.0.0.1:9"], "scheduler tcp://127.0.0.1:9"),
        (["--scheduler", "nonsense:/"], "scheduler nonsense:/"),
        ([], "--scheduler"),
    ],
)
def test_what_cannot_be_begun_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    command = [
        sys.executable,
        "-c",
        "import fallback.fleet.cluster as c; c.CONNECT_S = 1; from fallback.cli import main; main()",
    ]
    command += ["fleet", "sync", *words]
    environment = os.environ | {"FALLBACK_MODELS_DIR": str(tmp_path), "FALLBACK_OFFLINE": "true"}
    answer = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50
    )
    assert (answer.returncode, "Traceback" in answer.stderr) == (2, False), answer.stderr
    assert said in answer.stderr


@pytest.mark.timeout(180)
def test_a_fleet_with_a_liar_and_a_node_that_is_killed(tmp_path: Path) -> None:
    """`make e2e-fleet`, of small files and four nodes: every node a process that Dask takes for a host."""
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "tests.fleet", "--size", "small", "--nodes", "4", "--out", str(out)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    told = json.loads(out.read_text())
    assert [each["problem"] for each in told["reports"]] == ["", "", "", "lost"]
    assert told["outside_ratio"] <= 1.3
