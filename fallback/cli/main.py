"""The command group, and what happens to signals and errors on the way out."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fallback.cli import exits

if TYPE_CHECKING:
    from types import FrameType

GARBAGE = 50_000
"""Objects made between two looks for garbage: what is imported stays, and looking through it takes as long as a warm run."""

COMMANDS = {
    "sync": "sync",
    "get": "sync",
    "verify": "verify",
    "sources": "sources",
    "status": "status",
    "metrics": "metrics",
    "manifest": "manifest",
    "revalidate": "revalidate",
    "upgrade": "upgrade",
    "gc": "gc",
    "bundle": "bundle",
    "fleet": "fleet",
    "cid": "publish",
    "publish": "publish",
    "serve": "serve",
}
"""Each command, and the module here that has it under its name."""


class _Group(click.Group):
    """The commands; each is loaded when it is asked for, and all of them for `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"fallback.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click would make it 1, which says that a file could not be had.
            ctx.exit(exits.report(error))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fallback")
def cli() -> None:
    """Get model files onto this machine whatever the network does, every byte proven.

    Sources in order: the models folder, the IPFS gateways, HuggingFace. Settings come from flags,
    then the environment (FALLBACK_…), then fallback.toml, then defaults: see `fallback sources`.

    Exit codes: 0 all files right; 1 some file could not be had; 2 usage, settings or manifest;
    3 this machine's storage; 130, 143 stopped (what had come is kept).
    """


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    gc.set_threshold(GARBAGE)
    signal.signal(signal.SIGTERM, _terminate)
    if sys.stderr is None:  # closed by whoever called us: not even a warning has a place then
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a folder's name need not be text in this locale.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into exit codes
        exits.leave(exits.report(error))
    exits.leave(code if isinstance(code, int) else 0)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    # As KeyboardInterrupt does for SIGINT: the run stops its workers and keeps their partials.
    raise SystemExit(exits.TERMINATED)
