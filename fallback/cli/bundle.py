"""`fallback bundle`: models in one file, for machines without a network."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fallback.cli import exits, options, progress
from fallback.cli.sync import say_summary


@click.group()
def bundle() -> None:
    """Models in one file: a tar that holds their manifest first and then their files."""


@bundle.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The bundle to write; one whose name ends in .zst is compressed; - is standard output.",
)
@options.settings_options
@options.told_options
def create(models: tuple[str, ...], output: Path, **flags: Any) -> None:
    """Write models that are here into one file; with no MODEL, all models of the manifest.

    Every file is proven while it is read. The same models make the same bytes, on any machine.
    """
    from fallback.bundles.making import create_bundle  # noqa: PLC0415 - `--help` needs none of it

    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    is_stdout = str(output) == "-"
    if is_stdout and as_json:
        raise click.UsageError("-o - and --json both want standard output")
    settings = options.load(flags)
    with exits.of_whole(), progress.observer(as_json=as_json, quiet=quiet) as observer:
        into = sys.stdout.buffer if is_stdout else output
        made = create_bundle(models, into, settings=settings, observer=observer)
    if as_json:
        click.echo(json.dumps({"event": "bundled", **asdict(made)}))
    elif not quiet:
        click.echo(
            f"{made.path}: {made.files} file(s) of {', '.join(made.models)}, {made.bytes_total:,} bytes",
            err=True,
        )


@bundle.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--replace",
    "replace_models",
    is_flag=True,
    help="Put the bundle's version of a model in force where the manifest has another.",
)
@options.settings_options
@options.told_options
@click.pass_context
def install(context: click.Context, /, file: Path, *, replace_models: bool, **flags: Any) -> None:
    """Have the models of the bundle FILE in the models folder: all of them, each byte proven, or none.

    FILE may be a CAR, too; - is standard input. What proves the files is the manifest in the bundle; --manifest
    names one to go by instead. Stopped or killed, the same command goes on where it was.
    """
    from fallback.bundles.installing import install_bundle  # noqa: PLC0415 - as above

    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    settings = options.load(flags)
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        source = sys.stdin.buffer if str(file) == "-" else file
        summary = install_bundle(source, settings=settings, observer=observer, replace_models=replace_models)
    say_summary(context, summary, quiet=as_json or quiet)
