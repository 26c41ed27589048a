"""What a person sees of a fleet's sync: a table that moves on a terminal, else a line a change; a table at its end.

With `--json` every change is a line, and so is every node's report. Exclusions: nothing is decided here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from fallback.fleet.driving import Standing
    from fallback.fleet.report import NodeReport

HEADINGS = ("node", "result", "wave", "files", "from outside", "from peers", "seconds", "why")


@contextlib.contextmanager
def shown(*, as_json: bool, quiet: bool) -> Iterator[Callable[[Sequence[Standing]], None]]:
    """What is to be told all standings at each change."""
    if as_json:
        yield _when_changed(lambda each: click.echo(json.dumps({"event": "node"} | _plain(each))))
    elif quiet:
        yield lambda _standings: None
    elif not sys.stderr.isatty():
        yield _when_changed(lambda each: click.echo(f"{each.node}: {_said(each)}", err=True))
    else:
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
        from rich.live import Live  # noqa: PLC0415 - as above

        with Live(console=Console(stderr=True, markup=False), transient=True) as live:
            yield lambda standings: live.update(_moving(standings))


def table(reports: Sequence[NodeReport], *, as_json: bool, quiet: bool) -> None:
    """A row a node on stderr, or a JSON line a node on stdout; with `quiet`, nodes that have not all."""
    if as_json:
        for each in reports:
            click.echo(json.dumps({"event": "node_ended"} | each.to_json()))
        return
    chosen = [each for each in reports if not (quiet and each.ok)]
    rows = [HEADINGS, *map(_row, chosen)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if chosen:
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo(line.rstrip(), err=True)
    if not quiet:
        outside, peers = (sum(map(count, reports)) for count in (_outside, _peers))
        ready = sum(each.ok for each in reports)
        click.echo(
            f"{ready} of {len(reports)} nodes have all; {outside:,} bytes from outside, {peers:,} from peers",
            err=True,
        )


def _outside(report: NodeReport) -> int:
    return report.outside_bytes


def _peers(report: NodeReport) -> int:
    return report.peer_bytes


def _row(report: NodeReport) -> tuple[str, ...]:
    why = report.error.splitlines()[0] if report.error else ""
    unshared = f"does not share: {report.unshared.splitlines()[0]}" if report.unshared else ""
    lied = f"lied to by {', '.join(report.liars)}" if report.liars else ""
    return (
        report.node,
        "ok" if report.ok else report.problem,
        str(report.wave),
        str(report.files),
        f"{report.outside_bytes:,}",
        f"{report.peer_bytes:,}",
        f"{report.seconds:.1f}",
        "; ".join(part for part in (why, unshared, lied) if part),
    )


def _when_changed(tell: Callable[[Standing], None]) -> Callable[[Sequence[Standing]], None]:
    """`tell` a node's standing when its state is another; bytes that came are no change."""
    before: dict[str, tuple[str, int, str]] = {}

    def look(standings: Sequence[Standing]) -> None:
        for each in standings:
            now = (each.state, each.wave, each.peer)
            if before.get(each.node) != now:
                before[each.node] = now
                tell(each)

    return look


def _plain(standing: Standing) -> dict[str, object]:
    told = dataclasses.asdict(standing)
    told.pop("report")
    return told


def _said(standing: Standing) -> str:
    match standing.state:
        case "checking":
            return "checks what it has"
        case "outside":
            return "fetches from outside"
        case "peers":
            return f"fetches from {standing.peer}"
        case "ready":
            return "has all"
        case "failed" if standing.report is not None:
            return f"failed: {standing.report.problem}: {standing.report.error.partition(chr(10))[0]}"
        case _:
            return standing.state


def _moving(standings: Sequence[Standing]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - as above

    grid = Table.grid(padding=(0, 2))
    for each in standings:
        done = (
            f"{each.done / 1e6:,.0f} MB"
            if each.state in {"checking", "outside", "peers"} and each.done
            else ""
        )
        grid.add_row(each.node, _said(each), done)
    return grid
