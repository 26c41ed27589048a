"""What a person sees of a run: bars or lines while it goes, a table at its end, or JSON lines for programs.

Each is an observer of events; none of them is known to the engine. A run that finds all files here has
nothing to show but the table, which is why that is made without rich. Exclusions: how bars look (`bars`).
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from fallback.facts import CacheHit, FileEvent, Warned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from fallback.facts import Event, Observer
    from fallback.results import Summary

HEADINGS = ("file", "layer", "source", "size", "received", "attempts", "seconds")


@contextlib.contextmanager
def observer(*, as_json: bool, quiet: bool) -> Iterator[Observer]:
    """The observer for these flags: JSON lines on stdout, bars on a terminal, else a line a file."""
    if as_json:
        from fallback.cli.jsonl import json_line  # noqa: PLC0415 - only here

        yield json_line
        return
    with _when_needed(_warnings if quiet else _bars if sys.stderr.isatty() else _lines) as tell:
        yield tell


def table(summary: Summary) -> None:
    """A line a file on stderr, if anybody reads it: where it came from, what it cost."""
    rows = [HEADINGS] + [
        (
            f"{file.model}/{file.path}",
            file.layer,
            file.source,
            f"{file.size:,}",
            f"{file.bytes_received:,}",
            str(file.attempts),
            f"{file.seconds:.2f}",
        )
        for file in sorted(summary.files, key=lambda file: (file.model, file.path))
    ]
    failed = [(f"{each.model}/{each.path}", "failed", "", "", "", "", "") for each in summary.failures]
    lines = _aligned([*rows, *failed])
    lines[len(rows) :] = [click.style(line, fg="red") for line in lines[len(rows) :]]
    rate = summary.bytes_received / max(summary.seconds, 1e-6) / 1e6
    right = f"{len(summary.files)} of {len(summary.files) + len(summary.failures)} files right"
    lines.append(
        f"{right}, {summary.bytes_received:,} bytes received in {summary.seconds:.2f} s ({rate:.0f} MB/s)"
    )
    with contextlib.suppress(OSError):
        click.echo("\n".join(lines), err=True)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


@contextlib.contextmanager
def _when_needed(make: Callable[[], AbstractContextManager[Observer]]) -> Iterator[Observer]:
    """An observer that is made with the first event it could have anything to say of."""
    with contextlib.ExitStack() as made:
        observers: list[Observer] = []

        def tell(event: Event) -> None:
            if not observers:
                if isinstance(event, CacheHit) or not isinstance(event, FileEvent | Warned):
                    return
                observers.append(made.enter_context(make()))
            observers[0](event)

        yield tell


def _warnings() -> AbstractContextManager[Observer]:
    from fallback.cli import lines  # noqa: PLC0415 - see the module

    return contextlib.nullcontext(lines.warning)


def _lines() -> AbstractContextManager[Observer]:
    from fallback.cli import lines  # noqa: PLC0415 - see the module

    return contextlib.nullcontext(lines.line)


def _bars() -> AbstractContextManager[Observer]:
    from fallback.cli.bars import Bars  # noqa: PLC0415 - see the module

    return Bars()
