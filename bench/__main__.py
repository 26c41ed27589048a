"""`python -m bench [SCENARIO…] [--clients …] [--size full|small] [--repeat N]`: measures, prints, writes into out/.

What was measured is written after each scenario. With `--from` an earlier run's figures are gone on from, and nothing
is measured but what is named. Exit 1 only if a client did not do its work; a goal that is missed is said, and fails
nothing.
"""

from __future__ import annotations

import functools
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import asked, goals, report, running
from bench.scenarios import SCENARIOS
from bench.servers import NGINX

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

CHART, SHOWN = Path(__file__).parents[1] / ".github" / "bench.svg", "cold"
"""The picture that the README shows, and the scenario that it is of."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    options = asked.options(arguments)
    document, failed = options.document, []
    for name in options.scenario:
        try:
            failed += _measure(name, options, document["figures"])
        except Exception as error:  # noqa: BLE001 - whatever befalls one, the others' half an hour is not lost
            failed.append(name)
            _tell(name, f"given up: {type(error).__name__}: {error}")
        report.write(options.out / "bench.json", _judged(document))
    document = _judged(document)
    report.write(options.out / "bench.json", document)
    figures = document["figures"]
    for name, entries in figures.items():
        if name not in options.scenario:
            print(report.table(name, SCENARIOS[name].what, entries), end="\n\n")
    print(report.goal_table(list(goals.reached(figures))))
    if options.baseline is not None:
        print("\nRatios beside those of the baseline:")
        print(report.against(options.baseline["figures"], figures))
    drawn = _draw(figures, options.out)
    if options.record:
        _record(options.out, document)
    cpus = document["machine"].get("cpus")
    print(f"\nmedians of {document['repeat']} at most, {cpus} CPUs; {options.out}: bench.json, {drawn}")
    if failed:
        print(f"did not do their work: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measure(name: str, options: argparse.Namespace, figures: report.Figures) -> list[str]:
    """The scenario's figures into `figures`; who did not do his work."""
    scenario = SCENARIOS[name]
    if scenario.server == "nginx" and NGINX is None:
        _tell(name, "left out, for nginx is not here (Debian: nginx-light)")
        return []
    with (
        tempfile.TemporaryDirectory(prefix="fallback-bench-", dir=options.dir) as folder,
        running.staged(scenario, options.size, Path(folder)) as stage,
    ):
        tell = functools.partial(_tell, name)
        results = running.measured(stage, options.clients, options.repeat, options.most, tell)
        if results:
            figures[name] = report.rows(results, stage.total_bytes, stage.files)
            print(report.table(name, scenario.what, figures[name]), end="\n\n", flush=True)
        return [f"{name}: {entry}" for entry in stage.entries(options.clients) if entry not in results]


def _judged(document: dict[str, Any]) -> dict[str, Any]:
    """With its goals, and the scenarios in our order."""
    figures = {name: document["figures"][name] for name in SCENARIOS if name in document["figures"]}
    told = [
        {
            "what": one.goal.what,
            "most": one.goal.most,
            "value": None if one.value is None else round(one.value, 5),
        }
        for one in goals.reached(figures)
    ]
    return document | {"figures": figures, "goals": told}


def _draw(figures: report.Figures, folder: Path) -> str:
    """Charts of the figures; what came of it. Loaded only now: its memory would be every child's at the start."""
    if find_spec("matplotlib") is None:
        return "no charts, for matplotlib is not here (extra bench)"
    from bench import charts  # noqa: PLC0415 - as above

    drawn = charts.draw(figures, {name: one.what for name, one in SCENARIOS.items()}, folder)
    return f"{len(drawn)} charts"


def _record(out: Path, document: dict[str, Any]) -> None:
    """Keep the figures as what later runs are compared with, and the picture as the README's."""
    report.write(asked.BASELINE, document)
    if SHOWN in document["figures"] and (out / f"{SHOWN}.svg").exists():
        shutil.copyfile(out / f"{SHOWN}.svg", CHART)


def _tell(scenario: str, what: str) -> None:
    print(f"{scenario}: {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and folders go as at any other end
    sys.exit(main())
