"""What `python -m bench` is asked for, and what it goes on from: an earlier run's figures, or none.

Exclusions: nothing is measured here (`running`), and nothing judged (`goals`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import running
from bench.clients import CLIENTS
from bench.machine import machine
from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path(__file__).parents[1] / "out" / "bench"
BASELINE = Path(__file__).with_name("baseline.json")

MOST_S = 40.0
"""Of one client in one scenario: so that all of it takes half an hour."""

ABOUT = """Measures this engine beside what people use instead, prints, and writes into out/bench after each scenario.
Exit 1 only if a client did not do its work; a goal that is missed is said, and fails nothing."""


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for; `document` is the earlier run's or a new one, `baseline` what to compare with, or None."""
    parser = _parser()
    told = parser.parse_args(arguments)
    unknown = [name for name in told.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if not told.dir.is_dir():
        parser.error(f"--dir: {told.dir} is no folder")
    if told.baseline is None and BASELINE.exists():
        told.baseline = _earlier(str(BASELINE))
    begun = {"machine": machine(told.dir), "size": told.size, "repeat": told.repeat, "figures": {}}
    if told.document is None:
        told.document, told.scenario = begun, told.scenario or list(SCENARIOS)
    elif told.scenario and (other := _other(told.document, begun)):
        parser.error(f"--from: its figures are of another {other}, and ratios to them would be none")
    return told


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
    parser.add_argument("--repeat", type=positive, default=7, metavar="N", help="medians of N (default 7)")
    parser.add_argument(
        "--most",
        type=float,
        default=MOST_S,
        metavar="SECONDS",
        help=f"what takes so long in all is repeated no more, {running.LEAST} times at least, unless that takes twice as long (default {MOST_S:g})",
    )
    parser.add_argument(
        "--from",
        dest="document",
        type=_earlier,
        metavar="FILE",
        help="go on from an earlier bench.json: only the scenarios named are measured, and none if none is",
    )
    parser.add_argument(
        "--record", action="store_true", help=f"keep the figures as {BASELINE.name}, and the README's chart"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default: out/bench")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the models folders are made (default: where temporary files are)",
    )
    parser.add_argument(
        "--baseline", type=_earlier, metavar="FILE", help=f"an earlier bench.json to compare with (default: {BASELINE.name})"
    )  # fmt: skip
    return parser


def _earlier(path: str) -> dict[str, Any]:
    """A bench.json; of scenarios that are no more, nothing."""
    try:
        document: dict[str, Any] = json.loads(Path(path).read_text())
        figures = {name: document["figures"][name] for name in SCENARIOS if name in document["figures"]}
        return {key: document[key] for key in ("machine", "size", "repeat")} | {"figures": figures}
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise argparse.ArgumentTypeError(f"{path}: that is no bench.json of an earlier run") from None


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
