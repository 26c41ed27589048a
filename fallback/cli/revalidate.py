"""`fallback revalidate`: is there a newer version of what is here?"""

from __future__ import annotations

import json
from typing import Any

import click

from fallback.cli import exits, options, progress


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option("--now", "anyway", is_flag=True, help="Ask also about models that were asked about today.")
@click.option("--offline", is_flag=True, help="Request nothing: only say what is known.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout, of every model.")
@options.settings_options
@click.pass_context
def revalidate(
    context: click.Context, /, models: tuple[str, ...], *, anyway: bool, as_json: bool, **flags: Any
) -> None:
    """Ask HuggingFace whether it has newer versions of the models, once a day at most.

    No file is changed: `fallback upgrade MODEL` gets a newer version. With no MODEL, all models of the
    manifest.

    Exit code 1: of some model the version could not be known; it is served all the same.
    """
    from fallback.revalidate import check_versions  # noqa: PLC0415 - `--help` needs none of it

    settings = options.load(flags)
    with progress.observer(as_json=False, quiet=True) as observer:
        versions = check_versions(models, settings=settings, observer=observer, anyway=anyway)
    for version in versions:
        click.echo(json.dumps(version.to_json()) if as_json else f"{version.model}: {version}")
    known = all(version.unknown_since is None and version.state != "unknown" for version in versions)
    context.exit(0 if known else exits.UNAVAILABLE)
