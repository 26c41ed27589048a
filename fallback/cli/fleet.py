"""`fallback fleet sync`: the models onto many machines, of which a few fetch and the others take from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import exits, options
from fallback.errors import SettingsError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fallback.fleet.cluster import Node
    from fallback.settings import Settings

LOCAL = "local"


@click.group()
def fleet() -> None:
    """Many machines that want the same models."""


@fleet.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…")
@click.option(
    "--scheduler", required=True, metavar="URL", help="Dask's scheduler (tcp://…); or local: processes here."
)
@click.option("--nodes", "count", type=click.IntRange(min=1), metavar="N", help="How many nodes.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="With local: where each node has its models folder."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Nodes that may fetch from outside at a time while none has all.",
)
@click.option(
    "--fanout",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Nodes that one serves at a time.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Who is not done by then is late.",
)
@click.option(
    "--share-port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    help="Port at which a node shares; 0: any that is free.",
)
@options.settings_options
@options.told_options
@click.pass_context
def sync(
    context: click.Context,
    /,
    models: tuple[str, ...],
    *,
    scheduler: str,
    count: int | None,
    folder: Path | None,
    seeds: int,
    fanout: int,
    timeout_s: float,
    share_port: int,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    """Make the models folders of all nodes match this machine's manifest.

    A node is a host that has a worker of this Dask scheduler; fallback must be installed there. The first
    SEEDS nodes fetch from outside, the others from nodes that have all. Settings that are given here are the
    nodes', too; all others are theirs.

    Exit code 1: some node has not all; the table names it, and why.
    """
    settings = options.load(dict(flags))
    if scheduler == LOCAL and share_port and (count or 1) > 1:
        raise click.UsageError(
            f"--share-port: {count} nodes on one machine cannot share one port; leave it out"
        )
    try:
        from fallback.cli import fleet_view  # noqa: PLC0415 - needs the extra
        from fallback.fleet import cluster, driving, tasks, waves  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is not installed: pip install 'fallback[fleet]'") from None
    task = tasks.Task(
        manifest=_document(settings, models),
        overrides=_overrides(flags, is_local=scheduler == LOCAL),
        port=share_port,
        token=settings.share_token or "",
    )
    with (
        _nodes(cluster, scheduler, count, folder, settings.state_dir) as (client, nodes),
        fleet_view.shown(as_json=as_json, quiet=quiet) as tell,
    ):
        drive = driving.Drive(
            client,
            nodes,
            lambda names, full: waves.Waves(names, seeds=full or seeds, fanout=fanout),
            task,
            tell,
        )
        reports = drive.run(timeout_s)
    fleet_view.table(reports, as_json=as_json, quiet=quiet)
    context.exit(0 if all(each.ok for each in reports) else exits.UNAVAILABLE)


def _document(settings: Settings, models: tuple[str, ...]) -> str:
    from fallback.engine import load_manifest  # noqa: PLC0415 - `--help` needs none of it

    manifest = load_manifest(settings)
    return (manifest.select(models) if models else manifest).to_json()


def _overrides(flags: dict[str, Any], *, is_local: bool) -> dict[str, Any]:
    """What was given here and is the nodes', too: not where this machine's manifest is, and what it has of settings."""
    ours = {"manifest", "config", *(["models_dir"] if is_local else [])}
    return {name: value for name, value in flags.items() if name not in ours and value not in (None, ())}


def _nodes(
    cluster: Any, scheduler: str, count: int | None, folder: Path | None, state_dir: Path | None
) -> AbstractContextManager[tuple[Any, tuple[Node, ...]]]:
    joined: AbstractContextManager[tuple[Any, tuple[Node, ...]]]
    if scheduler != LOCAL:
        joined = cluster.joined(scheduler, count)
    elif folder is None or count is None:
        raise click.UsageError("--scheduler local needs --nodes N and --folder DIR")
    else:
        joined = cluster.local(count, folder.absolute(), state_dir)
    return joined
