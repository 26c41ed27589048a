"""What a person sees of a run: bars while it goes, a table at its end, or JSON lines for programs.

Each is an observer of events; none of them is known to the engine.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from fallback.cli import exits
from fallback.events import (
    AttemptStarted,
    CacheHit,
    FileCompleted,
    FileEvent,
    FileFailed,
    Listed,
    Progressed,
    Published,
    Quarantined,
    Uploading,
    Waiting,
    Warned,
    as_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID

    from fallback.engine import Summary
    from fallback.events import (
        Event,
        Observer,
    )

_PLAIN: Any = {"markup": False, "emoji": False}
"""A file may be called "[/b]" or ":smile:"."""

STALLED_S = 2.0
"""No byte for so long is shown as a stall; what ends an attempt is `timeout_s`."""


@contextlib.contextmanager
def observer(*, as_json: bool, quiet: bool) -> Iterator[Observer]:
    """The observer for these flags: JSON lines on stdout, bars on a terminal, else a line a file."""
    if as_json:
        yield _json_line
    elif quiet:
        yield _warnings
    elif sys.stderr.isatty():
        with Bars() as bars:
            yield bars
    else:
        yield _line


def table(summary: Summary) -> None:
    """A line a file on stderr, if anybody reads it: where it came from, what it cost."""
    with contextlib.suppress(OSError, SystemExit):  # rich makes an exit of a broken pipe
        _table(summary)


def _table(summary: Summary) -> None:
    from rich.console import Console  # noqa: PLC0415 - a run without a table needs no rich
    from rich.table import Table  # noqa: PLC0415

    shown = Table(
        "file", "layer", "source", "size", "received", "attempts", "seconds", box=None, pad_edge=False
    )
    for file in sorted(summary.files, key=lambda file: (file.model, file.path)):
        cells = (f"{file.size:,}", f"{file.bytes_received:,}", str(file.attempts), f"{file.seconds:.2f}")
        shown.add_row(f"{file.model}/{file.path}", file.layer, file.source, *cells)
    for failure in summary.failures:
        shown.add_row(f"{failure.model}/{failure.path}", "failed", "", "", "", "", "", style="red")
    # Not a terminal: nobody's window is too narrow for a file's name.
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 140, **_PLAIN)
    console.print(shown)
    rate = summary.bytes_received / max(summary.seconds, 1e-6) / 1e6
    right = f"{len(summary.files)} of {len(summary.files) + len(summary.failures)} files right"
    console.print(
        f"{right}, {summary.bytes_received:,} bytes received in {summary.seconds:.2f} s ({rate:.0f} MB/s)"
    )


def _json_line(event: Event) -> None:
    try:
        click.echo(json.dumps(as_json(event)))
    except OSError as error:
        # The run goes on (P11), and the observer is dropped: nobody else says it on stderr.
        exits.drop_stdout()
        click.echo(f"warning: stdout: {error.strerror}; no more events are printed", err=True)
        raise


def _warnings(event: Event) -> None:
    if isinstance(event, Warned):
        click.echo(f"warning: {event.message}", err=True)


def _line(event: Event) -> None:
    match event:
        case FileCompleted():
            click.echo(
                f"{event.model}/{event.path}: right, {event.size} bytes from {event.source} in {event.seconds:.1f} s",
                err=True,
            )
        case Listed():
            click.echo(f"{event.model}/{event.path}: {event.size} bytes", err=True)
        case Quarantined():
            click.echo(f"{event.model}/{event.path}: set aside as {event.kept}: {event.reason}", err=True)
        case Waiting():
            what = f"{event.model}/{event.path}" if event.path else event.model
            click.echo(
                f"{what}: waiting {event.seconds:.1f} s for {event.source}: {event.reason}",
                err=True,
            )
        case _:
            _warnings(event)


class Bars:
    """A bar a file under way, with rate, eta, layer and source, and how long nothing has come."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs rich
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=Console(stderr=True, **_PLAIN),
            transient=True,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show what `event` changes."""
        if not isinstance(event, FileEvent):
            _warnings(event)
            return
        key = (event.model, event.path)
        match event:
            case AttemptStarted():
                self._say(key, f"asking {event.source}", at=f"{event.layer} {event.source}")
                self._progress.update(self._tasks[key], completed=event.offset)
            case Progressed():
                at = f"{event.layer} {event.source}"
                self._say(key, at, at=at)
                self._progress.update(self._tasks[key], completed=event.downloaded, total=event.total)
            case Waiting():
                self._say(key, f"waiting {event.seconds:.0f} s for {event.source}: {event.reason}")
            case Uploading():
                self._say(key, f"to {event.target}")
                self._progress.update(self._tasks[key], completed=event.sent, total=event.total)
            case CacheHit() | FileCompleted() | FileFailed() | Published():
                if key in self._tasks:
                    self._progress.remove_task(self._tasks.pop(key))
                if isinstance(event, FileCompleted):
                    self._progress.console.print(f"{event.model}/{event.path}  {event.layer} {event.source}")
            case _:
                _line(event)

    def _say(self, key: tuple[str, str], text: str, *, at: str = "") -> None:
        said = _Said(text, at, time.monotonic())
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(key[1] or key[0], total=None, said=said)
        self._progress.update(self._tasks[key], said=said)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a bar says, read at each drawing: a source that stalls makes no event to say so."""

    text: str
    at: str
    """Who is to send the next byte; "" for nobody."""
    since: float

    def __format__(self, _spec: str) -> str:
        quiet = time.monotonic() - self.since
        return f"{self.at}, stalled {quiet:.0f} s" if self.at and quiet > STALLED_S else self.text
