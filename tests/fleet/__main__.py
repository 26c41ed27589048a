"""`python -m tests.fleet [--size full|small] [--compare]`: a fleet behind one narrow line; a table; out/e2e-fleet.json.

Six nodes want the models, and all the outside together gives 20 MB/s. One node lies to whom it serves, one is
killed in the middle: all that live must have every file right, for no more than `MOST_OUTSIDE` times the models'
bytes from outside. `--compare` measures instead what a fleet saves: against six syncs that know nothing of each
other, through the same line. Exit 0 if everything came to what it must, else 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.apart import WorldApart
from tests.fleet import acts

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path(__file__).parents[2] / "out" / "e2e-fleet.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--size", choices=("full", "small"), default="full", help="492 MB, or under 1 MB")
    parser.add_argument("--nodes", type=int, default=6, metavar="N", help="at least 4")
    parser.add_argument(
        "--rate", type=float, default=20.0, metavar="MB/S", help="of all the outside together"
    )
    parser.add_argument("--compare", action="store_true", help="fleet against independent syncs")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    options = parser.parse_args(arguments)
    with WorldApart(options.size) as world, tempfile.TemporaryDirectory(prefix="fallback-fleet-") as folder:
        stage = acts.Stage(world, Path(folder), options.nodes, options.rate)
        told = acts.compare(stage) if options.compare else acts.troubled(stage)
    _write(options.out, told | {"size": options.size, "nodes": options.nodes, "rate_mb_s": options.rate})
    for line in told["table"]:
        print(line)
    for failure in told["failures"]:
        print(f"FAILED: {failure}")
    print(f"{'FAILED' if told['failures'] else 'all right'}; written to {options.out}")
    return 1 if told["failures"] else 0


def _write(path: Path, told: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
