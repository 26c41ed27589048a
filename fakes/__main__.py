"""`python -m fakes up` serves a world until Ctrl-C or SIGTERM; `python -m fakes list` prints the faults it can play."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.catalogue import Catalogue
from fakes.faults import FAULTS
from fakes.scenarios import SCENARIOS, find_scenario
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "list":
        sys.stdout.write(_faults())
        return 0
    try:
        scenario = find_scenario(options.scenario)
        manifest = json.loads(options.manifest.read_text()) if options.manifest else None
        world = World(Catalogue(manifest, size=options.size), scenario=scenario, https=options.https)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    _serve(world, as_json=options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fakes", description="Fake sources for downloaders, on loopback."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve a world until Ctrl-C or SIGTERM")
    up.add_argument(
        "--scenario",
        default="healthy",
        metavar="NAME|FILE",
        help=f"what is wrong with it: a .toml or .json file, or one of {', '.join(SCENARIOS)}",
    )
    up.add_argument(
        "--size", choices=("full", "small"), default="small", help="true sizes, or small ones (default)"
    )
    up.add_argument(
        "--manifest", type=Path, metavar="FILE", help="what to serve, in the shape of models.json"
    )
    up.add_argument("--https", action="store_true", help="speak TLS, with a CA made for this world")
    up.add_argument("--json", action="store_true", help="one line: urls, control, manifest, environment")
    commands.add_parser("list", help="print the catalogue of faults")
    return parser


def _serve(world: World, *, as_json: bool) -> None:
    stop = threading.Event()
    # Before the first line is out: whoever reads it may send a signal at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with world:
        sys.stdout.write(_as_json(world) if as_json else _as_text(world))
        sys.stdout.flush()
        stop.wait()


def _as_json(world: World) -> str:
    told: dict[str, Any] = {
        "urls": world.urls,
        "control": world.control,
        "manifest": world.manifest(),
        "environment": world.environment(),
    }
    return json.dumps(told) + "\n"


def _as_text(world: World) -> str:
    servers = [f"{name:<10} {url}" for name, url in {**world.urls, "control": world.control}.items()]
    environment = [f"export {name}={value}" for name, value in world.environment().items()]
    return "\n".join([*servers, "", *environment, ""])


def _faults() -> str:
    lines = [f"{'#':<14} {'fault':<20} {'group':<10} what it does"]
    for fault in sorted(FAULTS.values(), key=lambda fault: fault.numbers):
        numbers = ", ".join(map(str, fault.numbers))
        fields = ", ".join(field.name for field in dataclasses.fields(fault))
        lines.append(f"{numbers:<14} {fault.name:<20} {fault.group:<10} {fault.what()}")
        if fields:
            lines.append(f"{'':<46} fields: {fields}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
