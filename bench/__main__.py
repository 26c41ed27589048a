"""`python -m bench [--size full|small] [--repeat N]`: measures, prints a table, writes out/bench.json.

The clients take turns within every repeat, so that a machine that slows down slows all of them down alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import report
from bench.clients import CLIENTS, Job
from bench.scenarios import SCENARIOS

# The one client of the fakes' control API; it imports nothing, and keeps the servers off our interpreter's lock.
from tests.e2e.disk import targets, total_bytes
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.clients import Measured
    from bench.scenarios import Scenario

OUT = Path(__file__).parents[1] / "out" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything; exit 1 only if a client did not do its work."""
    options = _options(arguments)
    clients = [name for name in CLIENTS if name != "curl -Z" or shutil.which("curl")]
    measured: report.Measurements = {one.name: {name: [] for name in clients} for one in SCENARIOS}
    with World(options.size) as world, tempfile.TemporaryDirectory(prefix="fallback-bench-") as folder:
        for repeat in range(options.repeat):
            for scenario in SCENARIOS:
                for client in clients[repeat % len(clients) :] + clients[: repeat % len(clients)]:
                    print(f"repeat {repeat + 1}: {scenario.name}, {client} …", file=sys.stderr, flush=True)
                    one = _measure(scenario, client, world, Path(folder))
                    measured[scenario.name][client].append(one)
        moved = total_bytes(world.manifest)
        machine = report.machine(Path(folder))
    rows = report.summary(measured, moved)
    document: dict[str, Any] = {
        "machine": machine,
        "size": options.size,
        "bytes": moved,
        "repeat": options.repeat,
        "scenarios": [dataclasses.asdict(one) for one in SCENARIOS],
        "results": rows,
    }
    report.write(options.out, document)
    print(report.table(rows))
    print(
        f"medians of {options.repeat}, {moved / 1e6:.1f} MB, {machine['cpus']} CPUs; written to {options.out}"
    )
    return 0


def _measure(scenario: Scenario, client: str, world: World, root: Path) -> Measured:
    """One run of one client, in a folder of its own; RuntimeError if the files are not there afterwards."""
    folder, log = root / "models", root / "log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    manifest_path = root / "manifest.json"
    manifest_path.write_text(json.dumps(world.manifest))
    job = Job(world.manifest, manifest_path, folder, world.gateways[: scenario.sources], world.hub)
    world.play(scenario.name, scenario.rules)
    log.write_bytes(b"")
    if scenario.warm:
        CLIENTS[client](job, log)
    measured = CLIENTS[client](job, log)
    sizes = {path: file["size"] for path, file in targets(world.manifest).items()}
    short = [path for path, size in sizes.items() if not _has(folder / path, size)]
    # By size alone: two of the clients verify nothing, and a client is measured, not tested, here.
    if measured.code or short:
        raise RuntimeError(
            f"{scenario.name}, {client}: exit code {measured.code}, {len(short)} files not there\n"
            + log.read_text(errors="replace")[-2000:]
        )
    shutil.rmtree(folder)
    return measured


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="492 MB (default), or under 1 MB"
    )
    parser.add_argument("--repeat", type=_positive, default=5, metavar="N", help="medians of N (default 5)")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="default: out/bench.json")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
