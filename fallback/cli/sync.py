"""`fallback sync` and `fallback get`: the commands that download."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import exits, options, progress
from fallback.errors import StorageError
from fallback.names import UPGRADES

if TYPE_CHECKING:
    from fallback.results import Summary
    from fallback.settings import Settings


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@options.settings_options
@options.run_options
@click.option("--offline", is_flag=True, help="Request nothing: only check what is here.")
@click.option("--discover", is_flag=True, help="Look for peers on this network by mDNS; needs the extra lan.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched from where, and fetch nothing.")
@click.pass_context
def sync(context: click.Context, /, models: tuple[str, ...], **flags: Any) -> None:
    """Make the models folder match the manifest.

    With no MODEL, all models of the manifest. Files that are here and proven cost no request.
    """
    if flags.pop("dry_run"):
        as_json = flags.pop("as_json")
        flags.pop("quiet")
        _dry_run(options.load(flags), models, as_json=as_json)
        return
    run_sync(context, models, flags)


def run_sync(
    context: click.Context, models: tuple[str, ...], flags: dict[str, Any], *, rehash: bool = False
) -> None:
    """A sync with these flags, told as they ask for; ends with its exit code."""
    from fallback import engine  # noqa: PLC0415 - `--help` needs no engine

    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    settings = options.load(flags)
    error: StorageError | None = None
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        try:
            if os.path.exists(settings.models_dir / UPGRADES):  # noqa: PTH110 - raises nothing: what is wrong there is the sync's to tell
                from fallback.switch import finish_upgrades  # noqa: PLC0415 - few runs come after an upgrade

                finish_upgrades(settings, observer)
            summary = engine.sync(models=models, settings=settings, observer=observer, rehash=rehash)
        except StorageError as raised:
            if raised.summary is None:
                raise
            error, summary = raised, raised.summary
    say_summary(context, summary, error, quiet=as_json or quiet)


def say_summary(
    context: click.Context, summary: Summary, error: StorageError | None = None, *, quiet: bool
) -> None:
    """What a run came to, as a table and each failure; ends with its exit code."""
    if not quiet:
        progress.table(summary)
    for failure in summary.failures:
        exits.say(failure.error)
    if error is not None:
        raise error
    context.exit(0 if summary.ok else exits.UNAVAILABLE)


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL…")
@click.option("--sha256", required=True, metavar="HEX", help="Digest that proves the file.")
@click.option(
    "--size",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="Its size, if known: wrong answers end sooner.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Where the file goes.")
@options.run_options
def get(urls: tuple[str, ...], sha256: str, size: int | None, output: Path, **flags: Any) -> None:
    """Get one file from the first URL that has it, proven before it gets its name."""
    from fallback import engine  # noqa: PLC0415 - `--help` needs no engine

    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    settings = options.load(flags)
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        result = engine.fetch(urls, output, sha256=sha256, size=size, settings=settings, observer=observer)
    if not as_json and not quiet:
        click.echo(f"{output}: {result.size} bytes from {result.source or 'this machine'}", err=True)


def _dry_run(settings: Settings, models: tuple[str, ...], *, as_json: bool) -> None:
    import json  # noqa: PLC0415 - only here

    from fallback import report as reports  # noqa: PLC0415 - `--help` needs none of it

    for planned in reports.preview(models=models, settings=settings):
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(planned)))
        elif planned.here:
            click.echo(f"{planned.model}/{planned.path}: here")
        else:
            click.echo(f"{planned.model}/{planned.path}: {planned.size} bytes")
            for url in planned.urls:
                click.echo(f"    {url}")
