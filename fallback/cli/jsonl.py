"""`--json`: every event as one JSON object a line on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from fallback.cli import exits
from fallback.events import as_json

if TYPE_CHECKING:
    from fallback.events import Event


def json_line(event: Event) -> None:
    """Print `event`.

    Raises:
        OSError: nobody can take it. The run goes on (P11), and the observer is dropped: nobody else
            says it on stderr.
    """
    try:
        click.echo(json.dumps(as_json(event)))
    except OSError as error:
        exits.drop_stdout()
        click.echo(f"warning: stdout: {error.strerror}; no more events are printed", err=True)
        raise
