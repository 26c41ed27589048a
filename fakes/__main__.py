"""`python -m fakes up` serves a world until Ctrl-C or SIGTERM; `python -m fakes list` prints the catalogue of faults."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fakes.catalogue import Catalogue
from fakes.faults import FAULTS
from fakes.faults.rows import rows
from fakes.scenarios import SCENARIOS, find_scenario
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "list":
        sys.stdout.write(_catalogue_as_json() if options.json else _catalogue())
        return 0
    try:
        scenario = find_scenario(options.scenario)
        manifest = json.loads(options.manifest.read_text()) if options.manifest else None
        world = World(
            Catalogue(manifest, size=options.size),
            scenario=scenario,
            https=options.https,
            peers=options.peers,
        )
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
    up.add_argument(
        "--peers",
        type=int,
        default=0,
        metavar="N",
        help="so many machines of the network that share the files",
    )
    up.add_argument("--json", action="store_true", help="one line: urls, control, manifest, environment")
    listing = commands.add_parser("list", help="print the catalogue of faults")
    listing.add_argument("--json", action="store_true", help="as one JSON object: rows and faults")
    return parser


def _serve(world: World, *, as_json: bool) -> None:
    stop = threading.Event()
    # Before the first line is out: whoever reads it may send a signal at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with world, tempfile.TemporaryDirectory(prefix="fakes-") as folder:
        manifest = Path(folder) / "manifest.json"
        manifest.write_text(json.dumps(world.manifest(), indent=1) + "\n")
        # A folder of its own: what the fakes serve goes by the names of real models.
        here = {"FALLBACK_MANIFEST": str(manifest), "FALLBACK_MODELS_DIR": str(Path(folder) / "models")}
        environment = here | world.environment()
        sys.stdout.write(_as_json(world, environment) if as_json else _as_text(world, environment))
        sys.stdout.flush()
        stop.wait()


def _as_json(world: World, environment: Mapping[str, str]) -> str:
    told: dict[str, Any] = {
        "urls": world.urls,
        "control": world.control,
        "manifest": world.manifest(),
        "environment": environment,
    }
    return json.dumps(told) + "\n"


def _as_text(world: World, environment: Mapping[str, str]) -> str:
    servers = [f"{name:<10} {url}" for name, url in {**world.urls, "control": world.control}.items()]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    examples = [*_examples(world), "fallback sync"]
    blocks = [
        servers,
        ["# For the engine, huggingface_hub and others; the folder is gone when this ends:", *exports],
        ["# Then, for example:", *(f"#   {example}" for example in examples)],
        [f"# What was asked, and faults to add: {world.control}/"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _examples(world: World) -> Iterator[str]:
    """Commands that get the first file of the first model."""
    model = next(iter(world.manifest().values()))
    hub = model.get("huggingface")
    for path in list(model["files"])[:1]:
        for peer in world.peers[:1]:
            yield f"curl -O {peer}/files/sha256/{model['files'][path]['sha256']}"
        yield f"curl -O {world.gateways[0]}/ipfs/{model['ipfs']['cid']}/{quote(path)}"
        if hub is not None:
            kind = "datasets/" if hub.get("repo_type") == "dataset" else ""
            inside = "/".join(part for part in (hub.get("path"), path) if part)
            yield f"curl -LO {world.hub}/{kind}{hub['repo']}/resolve/{hub.get('revision', 'main')}/{quote(inside)}"
            yield f"hf download {hub['repo']} --repo-type {hub.get('repo_type', 'model')}"


def _catalogue() -> str:
    """The rows by number, with what a client must do; then what each fault can be told."""
    lines = [f"{'#':>3}  {'name':<22} {'group':<11} {'played by':<38} goes wrong -> a client must"]
    lines += [
        f"{row.number:>3}  {row.name:<22} {row.group:<11} {row.played_by:<38} {row.does} -> {row.must}"
        for row in rows().values()
    ]
    lines += ["", f"{'fault':<20} {'level':<10} what it does"]
    for fault in sorted(FAULTS.values(), key=lambda fault: fault.name):
        lines.append(f"{fault.name:<20} {fault.level:<10} {fault.what()}")
        fields = ", ".join(f"{field.name}{_default(field)}" for field in dataclasses.fields(fault))
        if fields:
            lines.append(f"{'':<31} {fields}")
    return "\n".join([*lines, ""])


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return "=" + json.dumps(field.default_factory())
    return "" if field.default is dataclasses.MISSING else "=" + json.dumps(field.default)


def _catalogue_as_json() -> str:
    listed = {
        "rows": [row.to_dict() for row in rows().values()],
        "faults": [
            {
                "name": fault.name,
                "group": fault.group,
                "level": fault.level,
                "numbers": fault.numbers,
                "does": fault.what(),
                "fields": {field.name: str(field.type) for field in dataclasses.fields(fault)},
            }
            for fault in FAULTS.values()
        ],
    }
    return json.dumps(listed) + "\n"


if __name__ == "__main__":
    sys.exit(main())
