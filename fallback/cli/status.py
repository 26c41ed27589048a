"""`fallback status`: what is here, what is missing, when it was proven, which version, and the last error."""

from __future__ import annotations

import json
from typing import Any

import click

from fallback.cli import options


@click.command()
@options.settings_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def status(*, as_json: bool, **flags: Any) -> None:
    """Show each file of the manifest: present or missing, verified when; each model's version; the last error.

    Nothing is requested: versions are as `fallback revalidate` last found them.
    """
    from fallback import report as reports  # noqa: PLC0415 - `--help` needs none of it

    report = reports.status(options.load(flags))
    if as_json:
        click.echo(json.dumps(report))
        return
    for file in report["files"]:
        when = (
            f"verified {file['verified_at']} from {file['layer']} {file['source']}".rstrip()
            if file["verified_at"]
            else ""
        )
        click.echo(
            f"{file['state']:<11} {file['size']:>12,}  {file['model']}/{file['path']}  {when}".rstrip()
        )
    click.echo()
    for model in report["models"]:
        click.echo(f"{model['model']}: {model['said']}")
    click.echo(f"\nmanifest {report['manifest']}; folder {report['models_dir']}")
    if report["last_error"]:
        click.echo(
            f"last error, {report['last_error']['timestamp']}: {report['last_error']['error_message']}"
        )
