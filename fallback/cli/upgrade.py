"""`fallback upgrade`: the newer version of a model, once somebody has seen what changes and said yes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import exits, options, progress
from fallback.cli.sync import say_summary

if TYPE_CHECKING:
    from fallback.upgrade import Change, Upgrade


@click.command()
@click.argument("model")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Take files that match, too, though the model has not had them; repeatable. * matches / too.",
)
@options.settings_options
@options.run_options
@click.pass_context
def upgrade(
    context: click.Context, /, model: str, include: tuple[str, ...], *, yes: bool, dry_run: bool, **flags: Any
) -> None:
    """Pin MODEL to the commit that its branch on HuggingFace is at now, and fetch what is other there.

    The difference is shown first. The old version stays in force, with all its files, until the new one
    is here and proven; if that fails, nothing was changed.
    """
    from fallback import upgrade as upgrades  # noqa: PLC0415 - `--help` needs none of it
    from fallback.engine import load_manifest  # noqa: PLC0415 - as above

    if not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError(
            "nobody is there to be asked: say --yes, or --dry-run to see what would change"
        )
    as_json, quiet = flags.pop("as_json"), flags.pop("quiet")
    settings = options.load(flags)
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        found = upgrades.find_upgrade(model, include=include, settings=settings, observer=observer)
    if as_json:
        click.echo(json.dumps(found.to_json()))
    elif not quiet or not yes:
        _show(found)
    if dry_run or not (found.is_needed and (yes or _agreed())):
        return
    with progress.observer(as_json=as_json, quiet=quiet) as observer:
        summary = upgrades.apply_upgrade(found, settings=settings, observer=observer)
    if not summary.ok and load_manifest(settings).model(model) == found.old:
        exits.say(f"{model} was not upgraded: the version that was here is in force")
    say_summary(context, summary, quiet=as_json or quiet)


def _agreed() -> bool:
    agreed = click.confirm("upgrade?", err=True)
    if not agreed:
        click.echo("nothing was changed", err=True)
    return agreed


def _show(found: Upgrade) -> None:
    before, after = found.commits
    if not found.is_needed:
        click.echo(f"{found.old.name} is current (commit {before})")
        return
    click.echo(f"{found.old.name}: {before} -> {after}")
    for change in found.changes:
        click.echo(f"  {_said(change)}")
    changed = {each.path for each in found.changes}
    unchanged = sum(file.path not in changed for file in found.new.files)
    size = sum(each.after or 0 for each in found.changes)
    click.echo(f"  {unchanged} file(s) unchanged; {size:,} bytes to have")
    if found.left_out:
        shown = ", ".join(found.left_out[:5]) + (", …" if len(found.left_out) > 5 else "")
        click.echo(f"  not taken, for the model never had them (--include GLOB takes them): {shown}")


def _said(change: Change) -> str:
    if change.before is None:
        return f"added    {change.path}  {change.after:,} bytes"
    if change.after is None:
        return f"removed  {change.path}  {change.before:,} bytes"
    return f"changed  {change.path}  {change.before:,} -> {change.after:,} bytes"
