"""What a person sees on a terminal: a bar a file under way, with rate, eta, layer and source.

Loaded with the first file that is not here, as is rich, which draws them. Exclusions: the table at the
end (`progress`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from fallback.cli.lines import line
from fallback.events import (
    AttemptStarted,
    CacheHit,
    FileCompleted,
    FileEvent,
    FileFailed,
    Progressed,
    Published,
    Uploading,
    Waiting,
)

if TYPE_CHECKING:
    from rich.progress import TaskID

    from fallback.events import Event

STALLED_S = 2.0
"""No byte for so long is shown as a stall; what ends an attempt is `timeout_s`."""


class Bars:
    """A bar a file under way, with rate, eta, layer and source, and how long nothing has come."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            # A file may be called "[/b]" or ":smile:".
            console=Console(stderr=True, markup=False, emoji=False),
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
            line(event)
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
                line(event)

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
