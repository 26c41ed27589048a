"""What a person sees without a terminal: a line on stderr for what becomes of a file.

Exclusions: bars (`bars`), the table at the end (`progress`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fallback.events import FileCompleted, Listed, Quarantined, Waiting, Warned

if TYPE_CHECKING:
    from fallback.events import Event


def warning(event: Event) -> None:
    """Say `event` if it is a warning."""
    if isinstance(event, Warned):
        click.echo(f"warning: {event.message}", err=True)


def line(event: Event) -> None:
    """Say what became of a file, and what is waited for; nothing of how it goes."""
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
            click.echo(f"{what}: waiting {event.seconds:.1f} s for {event.source}: {event.reason}", err=True)
        case _:
            warning(event)
