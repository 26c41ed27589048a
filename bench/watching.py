"""`python -m bench.watching [--clients N] [--mb N] [--rate MB/s] [--repeat N]`: what it costs a download to be watched.

A sync of one file from one gateway, capped, with nobody watching and with N WebSocket clients, by turns within every
repeat. The world, the server and the clients are a process each; the figure is the ratio of the medians of MB/s, of
the runs' own seconds. What the clients saw is held against what they must see: each the run's end, none more than four
frames a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from bench.machine import machine
from bench.servers import ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUT = Path(__file__).parents[1] / "out" / "watching.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; exit 1 if a client did not see what it must."""
    parser = argparse.ArgumentParser(prog="python -m bench.watching", description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="how many watch (default 200)")
    parser.add_argument("--mb", type=int, default=200, help="size of the file (default 200)")
    parser.add_argument("--rate", type=int, default=50, help="the gateway's MB/s (default 50)")
    parser.add_argument("--repeat", type=int, default=5, help="medians of N (default 5)")
    parser.add_argument("--watch", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.watch:
        print(json.dumps(asyncio.run(_watched(options.watch, options.clients))))
        return 0
    speeds: dict[str, list[float]] = {"alone": [], "watched": []}
    costs: dict[str, list[float]] = {"alone": [], "watched": []}
    seen: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-watching-") as scratch:
        folder = Path(scratch)
        described = machine(folder)
        with _served(folder, options.mb, options.rate) as (url, server):
            for _ in range(options.repeat):
                before = _processor_s(server)
                speeds["alone"].append(_synced(url, folder))
                with _clients(url, options.clients) as clients:
                    between = _processor_s(server)
                    speeds["watched"].append(_synced(url, folder))
                    seen.append(json.loads(clients.communicate(timeout=60)[0]))
                costs["alone"].append(between - before)
                costs["watched"].append(_processor_s(server) - between)
    medians = {name: median(of) for name, of in speeds.items()}
    ratio = medians["watched"] / medians["alone"]
    fine = all(each["ended"] == options.clients and each["most_in_a_second"] <= 4 for each in seen)
    for name, speed in medians.items():
        print(f"{name:<9}{speed:>8.2f} MB/s  {median(costs[name]):>6.2f} s of a processor")
    print(
        f"ratio    {ratio:>8.3f}    medians of {options.repeat}, {options.clients} clients, who saw {seen[-1]}"
    )
    document = {
        "machine": described,
        "mb_s": speeds,
        "processor_s": costs,
        "medians": medians,
        "ratio": ratio,
        "clients": seen,
    }
    report.write(OUT, document)
    return 0 if fine else 1


@contextlib.contextmanager
def _served(folder: Path, megabytes: int, rate: int) -> Iterator[tuple[str, int]]:
    """A world and a server of one large file; the server's URL and process."""
    manifest = {"big": {"type": "bench", "dir": "big", "files": {"big.bin": {"size": megabytes * 1_000_000}}}}
    (folder / "asked.json").write_text(json.dumps(manifest))
    fakes = [sys.executable, "-m", "fakes", "up", "--json", "--size", "full", "--manifest", "asked.json"]
    with ended(subprocess.Popen(fakes, cwd=folder, env=_path(), stdout=subprocess.PIPE, text=True)) as world:
        assert world.stdout is not None
        told = json.loads(world.stdout.readline())
        fault = {"server": "gateway1", "fault": {"name": "bandwidth", "rate": rate * 1000}}
        _ask(f"{told['control']}/faults", fault)
        (folder / "manifest.json").write_text(json.dumps(told["manifest"]))
        serve = [sys.executable, "-m", "fallback", "serve", "--port", "0", "--models-dir", "models"]
        serve += ["--manifest", "manifest.json", "--gateway", told["urls"]["gateway1"]]
        with ended(
            subprocess.Popen(serve, cwd=folder, env=_path(), stdout=subprocess.PIPE, text=True)
        ) as server:
            assert server.stdout is not None
            yield server.stdout.readline().strip(), server.pid


@contextlib.contextmanager
def _clients(url: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """So many clients in a process of their own, once all are connected."""
    command = [sys.executable, "-m", "bench.watching", "--watch", url, "--clients", str(count)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        ends_at = time.monotonic() + 60
        while f"fallback_websocket_clients {count}.0" not in _text(f"{url}metrics"):
            if time.monotonic() > ends_at:
                raise RuntimeError(f"{count} clients did not connect")
            time.sleep(0.1)
        time.sleep(1)  # let their first frames be over
        yield process


def _synced(url: str, folder: Path) -> float:
    """MB/s of one sync into an empty folder."""
    shutil.rmtree(folder / "models" / "big", ignore_errors=True)
    run = _ask(f"{url}api/models/sync")["run"]
    while (told := json.loads(_text(f"{url}api/models/sync/{run}")))["ended_at"] is None:
        time.sleep(0.2)
    if told["status"] != "completed" or not told["summary"]["bytes_received"]:
        raise RuntimeError(f"the sync came to {told}")
    return float(told["summary"]["bytes_received"] / told["summary"]["seconds"] / 1e6)


async def _watched(url: str, count: int) -> dict[str, float]:
    """What so many clients see of one run."""
    from websockets.asyncio.client import connect  # noqa: PLC0415 - only the clients' process

    async def client() -> list[float]:
        times = []
        async with connect(f"{url.replace('http', 'ws', 1)}sync", proxy=None, open_timeout=60) as connection:
            snapshot = json.loads(await connection.recv())
            while True:
                frame = json.loads(await connection.recv())
                times.append(time.monotonic())
                if frame["runId"] != snapshot["runId"] and "file" not in frame and frame["done"]:
                    return times

    told = await asyncio.gather(*(client() for _ in range(count)))
    # A frame may come late and the next one not; so a second has a tenth more.
    crowded = (sum(at < each <= at + 0.9 for each in times) for times in told for at in times)
    return {
        "ended": len(told),
        "frames": sum(len(times) for times in told),
        "most_in_a_second": max(crowded, default=0),
    }


def _processor_s(process: int) -> float:
    """Seconds of a processor that it has used (proc(5)): what a busy machine does not change much."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ask(url: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if document is None else json.dumps(document).encode()
    headers = {"content-type": "application/json"} if data else {}
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
        said: dict[str, Any] = json.loads(answer.read())
        return said


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text


def _path() -> dict[str, str]:
    """The environment of programs that run in another folder."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "FALLBACK_RESERVE_BYTES": "0"}


if __name__ == "__main__":
    sys.exit(main())
