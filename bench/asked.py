"""What `python -m bench` is asked for, and what it goes on from: an earlier run's figures, or none.

Exclusions: nothing is measured here (`running`), and nothing judged (`goals`).
"""

from __future__ import annotations

import argparse
import math
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import earlier, report, running
from bench.clients import CLIENTS
from bench.earlier import REPEAT
from bench.machine import machine
from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path(__file__).parents[1] / "out" / "bench"
BASELINE = Path(__file__).with_name("baseline.json")

MOST_S = 40.0
"""Of one client in one scenario: so that all of it takes half an hour."""

CHOSEN = "of chosen clients"

ABOUT = """Measures this engine beside what people use instead, prints, and writes into out/bench after each scenario.
Exit 1 only if a client did not do its work, or the figures cannot be written; a goal that is missed is said, and fails nothing."""


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for; `document` is the earlier run's or a new one, `baseline` what to compare with, or None.

    `lacks` is why what is measured is nothing to keep, or "". The folder of `--out` is there, and can be written to.
    """
    parser = _parser()
    told = parser.parse_args(arguments)
    unknown = [name for name in told.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if not told.dir.is_dir():
        parser.error(f"--dir: {told.dir} is no folder")
    if told.baseline is None and BASELINE.exists():
        try:
            told.baseline = earlier.read(str(BASELINE))
        except argparse.ArgumentTypeError as error:
            parser.error(f"--baseline: {error}")
    begun = {
        "machine": machine(told.dir),
        "size": told.size,
        "repeat": told.repeat,
        "partial": {},
        "figures": {},
    }
    if told.document is None:
        told.document, told.scenario = begun, told.scenario or list(SCENARIOS)
    elif told.scenario and (other := _other(told.document, begun)):
        parser.error(f"--from: its figures are of another {other}, and ratios to them would be none")
    told.lacks = _lacks(told)
    if told.record and (unfit := _unfit(told)):
        parser.error(f"--record keeps full sizes, all clients, {REPEAT} runs or more; {unfit}")
    try:
        report.probe(told.out)
    except OSError as error:
        parser.error(f"--out: {told.out}: {error.strerror}")
    return told


def _lacks(told: argparse.Namespace) -> str:
    """What keeps the figures that are asked for from being kept, if anything."""
    if set(told.clients) != set(CLIENTS):
        return CHOSEN
    return f"repeated {told.repeat} times" if told.repeat < REPEAT else ""


def _unfit(told: argparse.Namespace) -> str:
    """Why the document that will be there at the end is none to keep, if it is not."""
    if told.document["size"] != "full":
        return f"the size is {told.document['size']}"
    partial = told.document["partial"] | dict.fromkeys(told.scenario, told.lacks)
    return next((f"{name} is {why}" for name, why in partial.items() if why), "")


def onward(told: argparse.Namespace, rest: Sequence[str]) -> str:
    """The command that goes on from what is written, with the scenarios that are left."""
    words = ["python", "-m", "bench", "--from", str(told.out / "bench.json"), *rest]
    asked = {
        "--size": (told.size, "full"),
        "--repeat": (told.repeat, REPEAT),
        "--clients": (",".join(told.clients), ",".join(CLIENTS)),
        "--most": (told.most, MOST_S),
        "--out": (told.out, OUT),
        "--dir": (told.dir, Path(tempfile.gettempdir())),
    }
    for name, (value, usual) in asked.items():
        words += [name, str(value)] if value != usual else []
    return shlex.join([*words, *["--record"] * told.record])


def absent(told: argparse.Namespace) -> list[str]:
    """A line for each program or module that is not here and that somebody who is to be measured needs."""
    others = {name for scenario in told.scenario for name in SCENARIOS[scenario].clients} & set(told.clients)
    lacking: dict[str, list[str]] = {}
    for name, client in CLIENTS.items():
        for need in client.absent() if name in others else ():
            lacking.setdefault(need, []).append(name)
    return [f"left out: {need} is not here (for {', '.join(names)})" for need, names in lacking.items()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=ABOUT)
    parser.add_argument(
        "scenario", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default: all"
    )
    parser.add_argument(
        "--clients",
        type=_clients,
        default=tuple(CLIENTS),
        metavar="NAME,…",
        help=f"of {', '.join(CLIENTS)}; the engine, to which the others' figures are ratios, takes part in any case",
    )
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="true sizes (default), or small ones"
    )
    parser.add_argument(
        "--repeat", type=positive, default=REPEAT, metavar="N", help=f"medians of N (default {REPEAT})"
    )
    parser.add_argument(
        "--most",
        type=_seconds,
        default=MOST_S,
        metavar="SECONDS",
        help=f"what takes so long in all is repeated no more, {running.LEAST} times at least, unless that takes twice as long (default {MOST_S:g})",
    )
    parser.add_argument(
        "--from",
        dest="document",
        type=earlier.read,
        metavar="FILE",
        help="go on from an earlier bench.json: only the scenarios named are measured, and none if none is",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help=f"keep the figures as {BASELINE.name}, and the README's chart: of full sizes, all clients, {REPEAT} runs or more",
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default: out/bench")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the models folders are made (default: where temporary files are)",
    )
    parser.add_argument(
        "--baseline", type=earlier.read, metavar="FILE", help=f"an earlier bench.json to compare with (default: {BASELINE.name})"
    )  # fmt: skip
    return parser


def _other(document: dict[str, Any], begun: dict[str, Any]) -> str:
    """What keeps figures of today out of the document, if anything."""
    if document["size"] != begun["size"]:
        return "size"
    marks = [[each["machine"].get(key) for key in ("cpu", "cpus", "memory")] for each in (document, begun)]
    return "" if marks[0] == marks[1] else "machine"


def _clients(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no client is called {', '.join(unknown)}; there are {', '.join(CLIENTS)}"
        )
    return names


def positive(text: str) -> int:
    """A number of times, as a command line has it."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError("more than 0 seconds")
    return number
