"""`fallback cid`: what a file or folder is called on IPFS."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fallback.ipfs.unixfs import PROFILES


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default=next(iter(PROFILES)),
    show_default=True,
    help="How bytes become blocks (IPIP-499): others get the same CID only with the same one.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, of every file, the root last.")
def cid(path: Path, profile: str, *, as_json: bool) -> None:
    """Print the CID of the file or folder at PATH; nothing is sent anywhere.

    Hidden names, and those of our own such as .bak, are left out of a folder.
    """
    from fallback.publish import tree  # noqa: PLC0415 - `--help` needs none of it

    made = tree.of_path(path, PROFILES[profile])
    if made.left_out:
        click.echo(f"{len(made.left_out)} left out: {', '.join(made.left_out[:3])}", err=True)
    if not as_json:
        click.echo(str(made.root.cid))
        return
    for name, built in made.files.items():
        if name:
            click.echo(json.dumps({"path": name, "size": built.size, "cid": str(built.cid)}))
    size = sum(built.size for built in made.files.values())
    click.echo(json.dumps({"path": "", "size": size, "cid": str(made.root.cid), "profile": profile}))
