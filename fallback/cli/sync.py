"""`fallback sync` and `fallback get`: the commands that download."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from fallback.cli import exits, options, progress

if TYPE_CHECKING:
    from fallback.engine import Summary
    from fallback.settings import Settings


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@options.settings_options
@options.run_options
@click.option("--offline", is_flag=True, help="Request nothing: only check what is here.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched from where, and fetch nothing.")
@click.pass_context
def sync(context: click.Context, /, models: tuple[str, ...], **flags: Any) -> None:
    """Make the models folder match the manifest.

    With no MODEL, all models of the manifest. Files that are here and proven cost no request.
    """
    from fallback import engine  # noqa: PLC0415 - `--help` needs no engine

    as_json, quiet, dry_run = flags.pop("as_json"), flags.pop("quiet"), flags.pop("dry_run")
    settings = options.load(flags)
    if dry_run:
        _dry_run(settings, models, as_json=as_json)
        return
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        summary = engine.sync(models=models, settings=settings, observer=observer)
    if not as_json and not quiet:
        progress.table(summary)
    _say_failures(summary)
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
    if len(sha256) != 64 or not set(sha256.lower()) <= set("0123456789abcdef"):
        raise click.BadParameter("64 hex digits are needed", param_hint="--sha256")
    for number, url in enumerate(urls, 1):
        if not _is_url(url):
            # By its number: the URL may hold a password or a signature.
            raise click.BadParameter(f"number {number} is not an http or https URL", param_hint="URL")
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


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _say_failures(summary: Summary) -> None:
    for failure in summary.failures:
        click.echo(f"fallback: {failure.error}", err=True)
