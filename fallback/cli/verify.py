"""`fallback verify`: every byte is read again; what is wrong is named, and with `--repair` fetched."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click

from fallback.cli import exits, options
from fallback.cli.sync import run_sync


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@options.settings_options
@options.run_options
@click.option(
    "--repair", is_flag=True, help="Set aside what is wrong as .bak, and fetch it and what is missing."
)
@click.pass_context
def verify(context: click.Context, /, models: tuple[str, ...], *, repair: bool, **flags: Any) -> None:
    """Hash every file again, whatever is remembered of it.

    Exit code 0: all files are right; 1: some are wrong or missing, and each is named.
    """
    if repair:
        run_sync(context, models, flags, rehash=True)
        return
    from fallback.checking import check_files  # noqa: PLC0415 - `--help` needs none of it

    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    checked = check_files(options.load(flags), models)
    for each in checked:
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(each)))
        elif each.state != "right":
            click.echo(f"{each.state:<8} {each.model}/{each.path}: {each.reason}")
    right = sum(each.state == "right" for each in checked)
    if not as_json and not quiet:
        click.echo(f"{right} of {len(checked)} files right", err=True)
    context.exit(0 if right == len(checked) else exits.UNAVAILABLE)
