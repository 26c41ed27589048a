"""`python -m bench [SCENARIO…] [--clients …] [--size full|small] [--repeat N]`: measures, prints, writes into out/.

What was measured is written after each scenario. With `--from` an earlier run's figures are gone on from, and nothing
is measured but what is named. Exit 1 only if a client did not do its work, or the figures cannot be written; a goal that
is missed is said, and fails nothing. Ctrl-C says how to go on.
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
    """Measure, print and write; 130 if stopped by Ctrl-C."""
    options = asked.options(arguments)
    for line in asked.absent(options):
        print(line, file=sys.stderr, flush=True)
    finished: list[str] = []
    try:
        failed = _scenarios(options, finished)
        return _end(options, failed)
    except KeyboardInterrupt:
        rest = [name for name in options.scenario if name not in finished]
        print(
            f"\n{_stopped(options, rest) if finished else 'stopped: no scenario was finished'}",
            file=sys.stderr,
        )
        return 130


def _scenarios(options: argparse.Namespace, finished: list[str]) -> list[str]:
    """All of them, one after the other, each told of in `finished` and written; who did not do his work."""
    figures, partial = options.document["figures"], options.document["partial"]
    failed: list[str] = []
    for name in options.scenario:
        before = figures.get(name)
        try:
            failed += _measure(name, options, figures)
        except Exception as error:  # noqa: BLE001 - whatever befalls one, the others' half an hour is not lost
            failed.append(name)
            _tell(name, f"given up: {type(error).__name__}: {error}")
        if figures.get(name) is not before:
            partial.pop(name, None)
            partial |= {name: options.lacks} if options.lacks else {}
        _keep(options)
        finished.append(name)
    return failed


def _end(options: argparse.Namespace, failed: list[str]) -> int:
    """What all scenarios together say; the exit code."""
    kept, document = _keep(options), _judged(options.document)
    figures = document["figures"]
    for name, entries in figures.items():
        if name not in options.scenario:
            print(report.table(name, SCENARIOS[name].what, entries), end="\n\n")
    _judge(document, options.baseline)
    drawn = _draw(figures, options.out)
    if options.record:
        _record(options.out, document)
    cpus = document["machine"].get("cpus")
    print(f"\nmedians of {document['repeat']} at most, {cpus} CPUs; {options.out}: bench.json, {drawn}")
    if failed:
        print(f"did not do their work: {', '.join(failed)}", file=sys.stderr)
    return 0 if kept and not failed else 1


def _keep(options: argparse.Namespace) -> bool:
    """Write what there is; whether that went well. It is said if not, and what is measured next is no less worth it."""
    path = options.out / "bench.json"
    try:
        report.write(path, _judged(options.document))
    except OSError as error:
        print(f"{path} is not written: {error.strerror}; the tables here are all there is", file=sys.stderr)
        return False
    return True


def _stopped(options: argparse.Namespace, rest: list[str]) -> str:
    where = options.out / "bench.json"
    return f"stopped; what is finished is in {where}; go on with: {asked.onward(options, rest)}"


def _judge(document: dict[str, Any], baseline: dict[str, Any] | None) -> None:
    """Goals, and the comparison with the baseline: of figures that can be held against them."""
    size = document["size"]
    if size == "full":
        print(report.goal_table(list(goals.reached(document["figures"]))))
    else:
        print(f"no goals: they are of full sizes, and this is {size}")
    if baseline is None:
        return
    if baseline["size"] == size:
        print("\nRatios beside those of the baseline:")
        print(report.against(baseline["figures"], document["figures"]))
    else:
        print(f"no comparison: the baseline is of size {baseline['size']}, and this is {size}")


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
            before = figures.get(name, {}) if options.lacks == asked.CHOSEN else {}
            entries = stage.entries(options.clients)
            left = {entry: row for entry, row in before.items() if entry not in entries}
            if left:
                tell(f"of the earlier run, with its ratios: {', '.join(left)}")
            new = report.rows(results, stage.total_bytes, stage.files)
            figures[name] = report.beside(new, left, scenario.entries)
            print(report.table(name, scenario.what, figures[name]), end="\n\n", flush=True)
        return [f"{name}: {entry}" for entry in stage.entries(options.clients) if entry not in results]


def _judged(document: dict[str, Any]) -> dict[str, Any]:
    """With its goals, which are of full sizes, and the scenarios in our order."""
    figures = {name: document["figures"][name] for name in SCENARIOS if name in document["figures"]}
    judged = goals.reached(figures) if document["size"] == "full" else ()
    told = [
        {
            "what": one.goal.what,
            "most": one.goal.most,
            "value": None if one.value is None else round(one.value, 5),
        }
        for one in judged
    ]
    return document | {"figures": figures, "goals": told}


def _draw(figures: report.Figures, folder: Path) -> str:
    """Charts of the figures; what came of it. Loaded only now: its memory would be every child's at the start."""
    if find_spec("matplotlib") is None:
        return "no charts, for matplotlib is not here (extra bench)"
    from bench import charts  # noqa: PLC0415 - as above

    try:
        drawn = charts.draw(figures, {name: one.what for name, one in SCENARIOS.items()}, folder)
    except OSError as error:
        return f"no charts: {error.strerror}"
    return f"{len(drawn)} charts"


def _record(out: Path, document: dict[str, Any]) -> None:
    """Keep the figures as what later runs are compared with, and the picture as the README's."""
    report.write(asked.BASELINE, document)
    if SHOWN in document["figures"] and (out / f"{SHOWN}.svg").exists():
        shutil.copyfile(out / f"{SHOWN}.svg", CHART)


def _tell(scenario: str, what: str) -> None:
    print(f"{scenario}: {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    for ended in (signal.SIGTERM, signal.SIGHUP):  # servers and folders go as at any other end
        signal.signal(ended, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
