"""`python -m tests.e2e [--size full|small] [--act N …]`: plays the acts, prints a table, writes out/e2e.json.

Exit 0 if every act came to what it must, else 1. The models folder is temporary and removed, whatever happens.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.apart import WorldApart
from tests.e2e import acts, bundling, holding, publishing, report
from tests.e2e.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTS = (*acts.ACTS, *holding.ACTS, *publishing.ACTS, *bundling.ACTS)
OUT = Path(__file__).parents[2] / "out" / "e2e.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the acts; returns the exit code."""
    options = _options(arguments)
    numbers = sorted(set(options.act)) or range(1, len(ACTS) + 1)
    started = time.monotonic()
    with WorldApart(options.size) as world, tempfile.TemporaryDirectory(prefix="fallback-e2e-") as folder:
        results = [_play(number, Stage(world, Path(folder))) for number in numbers]
    seconds = time.monotonic() - started
    report.write(options.out, results, size=options.size, seconds=seconds)
    print(report.table(results))
    passed = all(result.passed for result in results)
    print(f"{'all acts passed' if passed else 'FAILED'} in {seconds:.1f} s; written to {options.out}")
    return 0 if passed else 1


def _play(number: int, stage: Stage) -> report.Result:
    name, act = ACTS[number - 1]
    print(f"act {number}: {name} …", file=sys.stderr, flush=True)
    checks = stage.checks
    try:
        act(stage)
    # An act that breaks has failed like one that misses an expectation, and the others still play.
    except Exception as error:  # noqa: BLE001
        checks.failures.append(f"the act broke: {type(error).__name__}: {error}")
    stage.clear()
    return report.Result(
        act=number,
        name=name,
        passed=checks.made > 0 and not checks.failures,
        seconds=round(stage.seconds, 3),
        bytes_by_source=stage.bytes_by_server,
        requests=stage.requests,
        checks=checks.made,
        failures=tuple(checks.failures),
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="492 MB (default), or under 1 MB"
    )
    parser.add_argument(
        "--act",
        type=int,
        action="append",
        default=[],
        choices=range(1, len(ACTS) + 1),
        metavar="N",
        help="only this act; repeatable",
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="default: out/e2e.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
