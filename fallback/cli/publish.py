"""`fallback cid` and `fallback publish`: what files are called on IPFS, and how others get to have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import exits, options, progress
from fallback.events import Published
from fallback.ipfs.unixfs import PROFILES

if TYPE_CHECKING:
    from fallback.events import Event, Observer


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


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option("--to", required=True, type=click.Choice(["car", "kubo", "pinata"]), help="Who is to have it.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The CAR to write (--to car)."
)
@click.option("--api", "kubo_api", metavar="URL", help="RPC of the node (--to kubo).")
@click.option("--pinata-api", type=click.Choice(["v1", "v3"]), help="Which of Pinata's APIs; default: v1.")
@options.settings_options
@options.told_options
def publish(
    models: tuple[str, ...], to: str, output: Path | None, pinata_api: str | None, **flags: Any
) -> None:
    """Publish models that are here on IPFS, and record the CIDs they got.

    With no MODEL, all models of the manifest. A CAR needs no account: it can be imported into a node,
    or uploaded to any pinning service, and has the same CIDs. Keys for Pinata: PINATA_JWT, or
    PINATA_API_KEY with PINATA_SECRET_KEY.
    """
    from fallback.publish import publishing  # noqa: PLC0415 - `--help` needs none of it

    _check(to, output=output, kubo_api=flags["kubo_api"], pinata_api=pinata_api)
    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    settings = options.load(flags)
    made: list[Published] = []
    try:
        with progress.observer(as_json=as_json, quiet=quiet) as observer:
            told = _noting(made, observer)
            if output is not None:
                with exits.of_whole():
                    publishing.write_car(models, output, settings=settings, observer=told)
            else:
                where: Any = {"kubo": "kubo", "pinata": "pinata-v3" if pinata_api == "v3" else "pinata"}[to]
                publishing.publish_models(models, to=where, settings=settings, observer=told)
    finally:  # of several models, those that were published are told, whatever became of the next
        for each in () if as_json else made:
            click.echo(f"{each.model}  {each.cid}  {each.profile}")
            for url in () if quiet else each.urls:
                click.echo(f"    {url}", err=True)
    if as_json:
        return
    if output is not None and not quiet:
        click.echo(f"{output}: import it (`ipfs dag import`), or upload it; nothing was recorded", err=True)


def _noting(made: list[Published], observer: Observer) -> Observer:
    """An observer that keeps what was published, and passes everything on."""

    def noted(event: Event) -> None:
        if isinstance(event, Published):
            made.append(event)
        observer(event)

    return noted


def _check(to: str, **given: Any) -> None:
    """An option that belongs to another target is a mistake, and not to be passed over."""
    for name, target, flag in (
        ("output", "car", "-o"),
        ("kubo_api", "kubo", "--api"),
        ("pinata_api", "pinata", "--pinata-api"),
    ):
        if given[name] is not None and to != target:
            raise click.UsageError(f"{flag} goes with --to {target}")
    if to == "car" and given["output"] is None:
        raise click.UsageError("--to car needs a file to write: -o FILE")
