"""`fallback sources`: who would be asked, in which order, what is known of each, and why."""

from __future__ import annotations

import json
from typing import Any

import click

from fallback.cli import options


@click.command()
@options.settings_options
@click.option(
    "--forget", multiple=True, metavar="HOST", help="Forget what is known of this source; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def sources(forget: tuple[str, ...], *, as_json: bool, **flags: Any) -> None:
    """Show the order of sources, each one's health and why, and where each setting came from."""
    from fallback import report as reports  # noqa: PLC0415 - `--help` needs none of it

    settings = options.load(flags)
    if forget:
        unknown = reports.forget(settings, forget)
        for host in unknown:
            click.echo(f"nothing was known of {host}", err=True)
    report = reports.sources(settings)
    if as_json:
        click.echo(json.dumps({"sources": report, "settings": reports.settings_report(settings)}))
        return
    for number, source in enumerate(report, 1):
        click.echo(f"{number}. {source['layer']:<12} {source['source']:<32} {source['health']}")
    click.echo("\nsettings")
    for name, (value, origin) in reports.settings_report(settings).items():
        click.echo(f"  {name:<28} {_plain(value):<28} {origin}")


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
