"""`python -m bench [SCENARIO…] [--clients …] [--size full|small] [--repeat N]`: measures, prints, writes into out/.

Exit 1 only if a client did not do its work; a goal that is missed is said, and fails nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import goals, report, running
from bench.clients import CLIENTS
from bench.machine import machine
from bench.scenarios import SCENARIOS
from bench.servers import NGINX

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_S = 40.0
"""Of one client in one scenario: so that all of it takes half an hour."""

OUT = Path(__file__).parents[1] / "out" / "bench"
BASELINE = Path(__file__).with_name("baseline.json")
CHART, SHOWN = Path(__file__).parents[1] / ".github" / "bench.svg", "cold"
"""The picture that the README shows, and the scenario that it is of."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    options = _options(arguments)
    figures: report.Figures = {}
    described: dict[str, Any] = {}
    left_out: list[str] = []
    for name in options.scenario or SCENARIOS:
        scenario = SCENARIOS[name]
        if scenario.server == "nginx" and NGINX is None:
            print(f"{name}: left out, for nginx is not here (Debian: nginx-light)", file=sys.stderr)
            continue
        with (
            tempfile.TemporaryDirectory(prefix="fallback-bench-", dir=options.dir) as folder,
            running.staged(scenario, options.size, Path(folder)) as stage,
        ):
            tell = functools.partial(_tell, name)
            results = running.measured(stage, options.clients, options.repeat, options.most, tell)
            left_out += [
                f"{name}: {entry}" for entry in stage.entries(options.clients) if entry not in results
            ]
            described = described or machine(Path(folder))
            if results:
                figures[name] = report.rows(results, stage.total_bytes)
                print(report.table(name, scenario.what, figures[name]), end="\n\n", flush=True)
    reached = list(goals.reached(figures))
    print(report.goal_table(reached))
    baseline = options.baseline
    if baseline.exists():
        print(f"\nRatios beside those of {baseline.name}:")
        print(report.against(json.loads(baseline.read_text())["figures"], figures))
    document = {
        "machine": described,
        "size": options.size,
        "repeat": options.repeat,
        "figures": figures,
        "goals": [{"what": one.what, "most": one.most, "value": round(one.value, 5)} for one in reached],
    }
    report.write(options.out / "bench.json", document)
    drawn = _draw(figures, options.out)
    if options.record:
        _record(options.out, document)
    print(
        f"\nmedians of {options.repeat} at most, {described.get('cpus')} CPUs; {options.out}: bench.json, {drawn}"
    )
    if left_out:
        print(f"did not do their work: {', '.join(left_out)}", file=sys.stderr)
    return 1 if left_out else 0


def _draw(figures: report.Figures, folder: Path) -> str:
    """Charts of the figures; what came of it. Loaded only now: its memory would be every child's at the start."""
    if find_spec("matplotlib") is None:
        return "no charts, for matplotlib is not here (extra bench)"
    from bench import charts  # noqa: PLC0415 - as above

    drawn = charts.draw(figures, {name: one.what for name, one in SCENARIOS.items()}, folder)
    return f"{len(drawn)} charts"


def _record(out: Path, document: dict[str, Any]) -> None:
    """Keep the figures as what later runs are compared with, and the picture as the README's."""
    report.write(BASELINE, document)
    if (out / f"{SHOWN}.svg").exists():
        shutil.copyfile(out / f"{SHOWN}.svg", CHART)


def _tell(scenario: str, what: str) -> None:
    print(f"{scenario}: {what} …", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "scenario", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default: all"
    )
    parser.add_argument(
        "--clients", type=_clients, default=tuple(CLIENTS), metavar="NAME,…", help=f"of {', '.join(CLIENTS)}"
    )
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="true sizes (default), or small ones"
    )
    parser.add_argument("--repeat", type=_positive, default=7, metavar="N", help="medians of N (default 7)")
    parser.add_argument(
        "--most",
        type=float,
        default=MOST_S,
        metavar="SECONDS",
        help=f"what takes so long in all is repeated no more, {running.LEAST} times at least, unless that takes twice as long (default {MOST_S:g})",
    )
    parser.add_argument(
        "--record", action="store_true", help=f"keep the figures as {BASELINE.name}, and the README's chart"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default: out/bench")
    parser.add_argument(
        "--dir", type=Path, default=os.environ.get("TMPDIR"), help="where the models folders are made"
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        default=BASELINE,
        metavar="FILE",
        help="an earlier bench.json to compare with",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    return options


def _clients(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no client is called {', '.join(unknown)}; there are {', '.join(CLIENTS)}"
        )
    return names


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
