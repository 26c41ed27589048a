"""A scheduler and nodes as processes: each node a `dask worker` at an address of its own, with its own folders.

The addresses are 127.0.0.11 and up, all of this machine's loopback: Dask takes each for a host. Exclusions: what
the nodes do, and whether it came out right (`acts`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fakes.apart import WorldApart

START_S = 60.0
LIMIT_S = 420.0
FIRST = 11
PRELOAD = Path(__file__).with_name("lying.py")

# As for tests.e2e: a dead server costs seconds. On a busy machine a late first byte sends nobody outside.
SHORT = {
    "FALLBACK_TIMEOUT_S": "6",
    "FALLBACK_CONNECT_TIMEOUT_S": "2",
    "FALLBACK_BACKOFF_S": "0.2",
    "FALLBACK_PATIENCE_S": "6",
    "FALLBACK_RESERVE_BYTES": "0",
}


@dataclass
class Node:
    """One node: its address, its folder, its process."""

    host: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def models_dir(self) -> Path:
        return self.folder / "models"

    def bytes_here(self) -> int:
        """What has come so far, whatever it is called."""
        sizes = []
        for path in self.models_dir.rglob("*"):
            with contextlib.suppress(OSError):
                sizes.append(path.lstat().st_size if path.is_file() else 0)
        return sum(sizes)


@dataclass
class Fleet:
    """A scheduler and its nodes."""

    address: str
    nodes: list[Node]


@dataclass
class Run:
    """What the command line came to: its exit code, its lines, its seconds."""

    code: int
    seconds: float
    lines: list[dict[str, Any]] = field(default_factory=list)
    stderr: str = ""

    @property
    def reports(self) -> dict[str, dict[str, Any]]:
        """The nodes' reports, by node."""
        return {line["node"]: line for line in self.lines if line["event"] == "node_ended"}


def environment(world: WorldApart, models_dir: Path) -> dict[str, str]:
    """What a node's sync is told: the fakes are all there is outside."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("FALLBACK_", "HF_"))
    }
    return (
        inherited
        | SHORT
        | {
            "FALLBACK_MODELS_DIR": str(models_dir),
            "FALLBACK_GATEWAYS": ",".join(world.gateways),
            "FALLBACK_HF_ENDPOINT": world.hub,
            "DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0",
        }
    )


@contextlib.contextmanager
def started(world: WorldApart, folder: Path, count: int, liars: Sequence[int] = ()) -> Iterator[Fleet]:
    """A scheduler and `count` nodes; those at the places `liars` lie."""
    with contextlib.ExitStack() as kept:
        about = folder / "scheduler.json"
        kept.enter_context(
            _running(
                [
                    "dask_scheduler",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    "0",
                    "--no-dashboard",
                    "--scheduler-file",
                    str(about),
                ],
                folder,
                dict(os.environ),
            )
        )
        nodes = []
        address = _address(about)
        for place in range(count):
            own = folder / f"node-{place}"
            own.mkdir()
            host = f"127.0.0.{FIRST + place}"
            words = [
                "dask_worker",
                address,
                "--host",
                host,
                "--no-nanny",
                "--nthreads",
                "1",
                "--no-dashboard",
            ]
            words += ["--memory-limit", "0", "--local-directory", str(own / "dask")]
            words += ["--preload", str(PRELOAD)] if place in liars else []
            process = kept.enter_context(_running(words, own, environment(world, own / "models")))
            nodes.append(Node(host, own, process))
        with Client(address) as client:
            client.wait_for_workers(count, timeout=START_S)
        yield Fleet(address, nodes)


def sync(fleet: Fleet, manifest: Path, *words: str) -> Iterator[dict[str, Any]]:
    """Start `fallback fleet sync`; gives its lines as they come, and at last one with its `code`, `seconds`, `stderr`."""
    command = [sys.executable, "-m", "fallback", "fleet", "sync", "--scheduler", fleet.address, "--json"]
    command += [
        "--nodes",
        str(len(fleet.nodes)),
        "--manifest",
        str(manifest),
        "--timeout",
        str(LIMIT_S),
        *words,
    ]
    began = time.monotonic()
    with (manifest.parent / "stderr.txt").open("w+") as stderr:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
        stderr.seek(0)
        yield {
            "event": "end",
            "code": process.returncode,
            "seconds": time.monotonic() - began,
            "stderr": stderr.read(),
        }


@contextlib.contextmanager
def _running(
    words: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    module, *others = words
    with (folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *others],
            env=dict(environment) | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(about: Path) -> str:
    ends_at = time.monotonic() + START_S
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(about.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError(f"the scheduler did not start within {START_S:.0f} s")
