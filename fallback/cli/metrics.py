"""`fallback metrics`: what the attempts of the last hours say."""

from __future__ import annotations

import json
from typing import Any

import click

from fallback.cli import options


@click.command()
@click.argument("what", type=click.Choice(["records", "summary", "health", "reset"]), default="summary")
@options.settings_options
def metrics(what: str, **flags: Any) -> None:
    """Print metrics as JSON: all records, their summary, each layer's health; or reset them."""
    from fallback import report as reports  # noqa: PLC0415 - `--help` needs none of it

    click.echo(json.dumps(reports.metrics_report(options.load(flags), what), indent=2))
