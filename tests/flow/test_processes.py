"""Several processes on one folder: all succeed, each body travels once, and no lock is needed to be right."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from fakes.faults import fault_from_dict as from_json
from fallback import sync
from fallback.events import Waiting
from tests.flow.told import ONNX, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event


@pytest.fixture(name="start")
def _start(world: World, settings: Settings, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts `fallback sync` as a process of its own."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(world.manifest()))
    command = [sys.executable, "-m", "fallback", "sync", "--json", "--manifest", str(path)]
    command += ["--models-dir", str(settings.models_dir), "--hf-endpoint", world.hub]
    for gateway in world.gateways:
        command += ["--gateway", gateway]
    # A first byte that is late asks for no second body.
    told = {"TIMEOUT_S": "20", "PATIENCE_S": "20", "RESERVE_BYTES": "0"}
    environment = os.environ | {f"FALLBACK_{name}": value for name, value in told.items()}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    return start


def bodies(world: World) -> dict[str, int]:
    """How many times each file's body was asked for."""
    paths = [entry.path for entry in world.journal.entries() if entry.method == "GET"]
    return {path: paths.count(path) for path in paths}


@pytest.mark.parametrize("count", [2, 10])
def test_each_body_travels_once(
    world: World,
    all_right: Callable[[], bool],
    start: Callable[[], subprocess.Popen[str]],
    count: int,
) -> None:
    """While a slow source serves one process, the others wait, and find the file when it is done."""
    world.add("gateway1", from_json({"name": "stall", "offset": 1000, "seconds": 1.5}), path=ONNX)
    running = [start() for _ in range(count)]
    errors = [process.communicate(timeout=50)[1] for process in running]
    assert [process.returncode for process in running] == [0] * count, errors
    assert set(bodies(world).values()) == {1}
    assert all_right()


def test_a_waiter_takes_over_when_the_holder_is_killed(
    world: World, all_right: Callable[[], bool], start: Callable[[], subprocess.Popen[str]]
) -> None:
    """Fault 102: at once, not after the lock's timeout; and it goes on where the other was."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX)
    holder = start()
    until(lambda: any(entry.bytes_sent >= 2_000_000 for entry in world.journal.entries()))
    waiter = start()
    time.sleep(1)
    assert waiter.poll() is None
    world.remove(rule)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    _, said = waiter.communicate(timeout=20)
    assert waiter.returncode == 0, said
    assert world.journal.select(path=ONNX)[-1].range is not None
    assert all_right()


def test_a_stopped_holder_is_waited_for_only_so_long(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    start: Callable[[], subprocess.Popen[str]],
) -> None:
    """Fault 103: after lock_timeout_s a waiter gets the file beside the one who does not move."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX, first=1)
    holder = start()
    until(lambda: any(entry.bytes_sent >= 2_000_000 for entry in world.journal.entries()))
    holder.send_signal(signal.SIGSTOP)
    try:
        told: list[Event] = []
        assert sync(manifest, settings=replace(settings, lock_timeout_s=0.3), observer=told.append).ok
        assert "another process" in [event.source for event in told if isinstance(event, Waiting)]
        assert all_right()
    finally:
        world.remove(rule)
        holder.send_signal(signal.SIGCONT)
        holder.terminate()
        holder.communicate(timeout=20)
    assert all_right()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS], ids=["fails", "absent"])
def test_locks_may_fail(
    settings: Settings, manifest: Manifest, all_right: Callable[[], bool], number: int
) -> None:
    """P10."""
    with mock.patch.object(fcntl, "flock", side_effect=OSError(number, "no locks here")):
        assert sync(manifest, settings=settings).ok
    assert all_right()
