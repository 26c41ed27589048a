"""`python -m tests.crash.cost [--size full|small] [--repeat N]`: what the syncs cost, as MB/s of a full cold sync.

The same command line, as it is and with `os.fsync` replaced by nothing, in turns within one run, so that a
machine that slows down slows both. SQLite's own syncs stay: they are not ours to leave out. What was written
without a sync is written by the system later: `sync` between two runs keeps one's debts from the other.
Exclusions: no figure is a test's, for it is this disk's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.apart import WorldApart
from fakes.catalogue import targets
from tests.e2e.disk import examine
from tests.e2e.engine import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = "from fallback.cli import main; main()"
WAYS: Mapping[str, str] = {"with fsync": RUN, "without": f"import os; os.fsync = lambda _: None; {RUN}"}


def main() -> None:
    """Measure in turns, and print both medians and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.cost", description=__doc__)
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with WorldApart(options.size) as world, tempfile.TemporaryDirectory(prefix="fallback-cost-") as home:
        megabytes = sum(file["size"] for file in targets(world.manifest).values()) / 1e6
        for number in range(options.repeat):
            for way in list(WAYS)[:: 1 if number % 2 else -1]:
                seconds[way].append(cold_sync(world, Path(home), WAYS[way]))
    for way, taken in seconds.items():
        each = " ".join(f"{megabytes / one:.0f}" for one in taken)
        print(f"{way}: {megabytes / statistics.median(taken):.0f} MB/s (each: {each})")
    ratio = statistics.median(seconds["with fsync"]) / statistics.median(seconds["without"])
    print(
        f"{megabytes:.0f} MB, medians of {options.repeat}: with fsync a cold sync takes {ratio:.2f} times as long"
    )


def cold_sync(world: WorldApart, home: Path, code: str) -> float:
    """Seconds of wall time of a sync into an empty folder; AssertionError if not all of it is right."""
    models, manifest = home / "models", home / "manifest.json"
    shutil.rmtree(models, ignore_errors=True)
    manifest.write_text(json.dumps(world.manifest))
    os.sync()
    given = ["sync", "--quiet", "--manifest", str(manifest), "--models-dir", str(models)]
    for gateway in world.gateways:
        given += ["--gateway", gateway]
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", code, *given, "--hf-endpoint", world.hub], env=clean_environment(), check=True
    )
    taken = time.monotonic() - began
    assert not examine(models, world.manifest).missing
    return taken


if __name__ == "__main__":
    main()
