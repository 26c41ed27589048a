"""`fallback gc`: what is left over in the models folder goes, and with `--unnamed` what no manifest names."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import options, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fallback.settings import Settings
    from fallback.sweeping import Leftover

SAID = {
    "partial": "partial, unwanted",
    "bak": "set aside",
    "version": "version, never in force",
    "unnamed": "in no manifest",
}
DAY_S = 86400


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--unnamed", is_flag=True, help="Also files that no manifest names, after asking.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.settings_options
@options.told_options
def gc(*, dry_run: bool, unnamed: bool, yes: bool, as_json: bool, quiet: bool, **flags: Any) -> None:
    """Delete what is left over in the models folder: partials, files set aside, versions nobody put in force.

    Nothing that is in use goes, nor what is younger than partial_idle_s, bak_days and waiting_days say. A
    folder that holds more than warn_total_bytes besides is warned of.
    """
    from fallback import cleaning  # noqa: PLC0415 - `--help` needs none of it

    if unnamed and not (yes or dry_run or sys.stdin.isatty()):
        raise click.UsageError("nobody is there to be asked: say --yes, or --dry-run to see what would go")
    settings = options.load(flags)
    with progress.observer(as_json=False, quiet=True) as observer:
        found = cleaning.find_leftovers(unnamed=unnamed, settings=settings, observer=observer)
        asked = unnamed and not yes and not dry_run and any(each.kind == "unnamed" for each in found)
        if dry_run or asked:
            _tell(found, settings, "would be deleted", as_json=as_json, quiet=quiet and not asked)
        if dry_run or (asked and not click.confirm("delete these?", err=True)):
            return
        gone = cleaning.delete_leftovers(found, settings=settings, observer=observer)
    _tell(gone, settings, "deleted", as_json=as_json, quiet=quiet)


def _tell(found: Sequence[Leftover], settings: Settings, what: str, *, as_json: bool, quiet: bool) -> None:
    """A line each, and what they come to; `age_days` is since anybody touched it."""
    import time  # noqa: PLC0415 - as above

    for each in found:
        path = each.path.relative_to(settings.models_dir).as_posix()
        age_days = round((time.time() - each.touched_at) / DAY_S, 2)
        if as_json:
            told = {"path": path, "kind": each.kind, "bytes": each.size, "age_days": age_days, "state": what}
            click.echo(json.dumps(told))
        elif not quiet:
            click.echo(f"{SAID[each.kind]:<24} {each.size:>14,} bytes {age_days:>7.1f} days  {path}")
    if not as_json and not quiet:
        size = sum(each.size for each in found)
        click.echo(f"{len(found)} file(s) or folder(s), {size:,} bytes {what}", err=True)
