"""The one place that maps errors to exit codes (DESIGN: 0, 1, 2, 3, 130, 143) and says them."""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from fallback.errors import ConfigError, FallbackError, StoppedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAVAILABLE = 1
USAGE = 2
STORAGE = 3
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
"""128 + SIGPIPE: whoever read our output went away."""


def report(error: BaseException) -> int:
    """Say `error` on stderr and give its exit code; what is nobody's mistake but ours is raised on."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        if code == TERMINATED:
            say("stopped; what had come is kept")
        return code
    if isinstance(error, KeyboardInterrupt | click.Abort | StoppedError):
        say("stopped; what had come is kept")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE
    if isinstance(error, BrokenPipeError):
        drop_stdout()
        return BROKEN_PIPE
    if isinstance(error, FallbackError):
        say(str(error))
        if isinstance(error, ConfigError):
            return USAGE
        return STORAGE if isinstance(error, StorageError) else UNAVAILABLE
    if isinstance(error, OSError):
        # Such as a full disk behind stdout: the network's errors never get here.
        drop_stdout()
        say(str(error))
        return STORAGE
    raise error


@contextlib.contextmanager
def of_whole() -> Iterator[None]:
    """Around the making of what is whole or not there: nothing of it is kept when it is stopped, and so it is said."""
    try:
        yield
    except (KeyboardInterrupt, StoppedError, SystemExit) as error:
        code = error.code if isinstance(error, SystemExit) else INTERRUPTED
        if code not in {INTERRUPTED, TERMINATED}:
            raise
        say("stopped; nothing of it is kept")
        raise click.exceptions.Exit(int(code)) from None


def leave(code: int) -> NoReturn:
    """Exit with `code`, also if stderr cannot take what is left to say: Python would make it 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = None
    gc.freeze()  # nothing is garbage to the interpreter's end, which would look through all of it
    sys.exit(code)


def drop_stdout() -> None:
    """Print no more: who reads it is gone, and the interpreter must not try again at its end."""
    sys.stdout = None


def say(message: str) -> None:
    """A line on stderr, if anybody reads it: an exit code must not depend on that."""
    with contextlib.suppress(OSError):
        click.echo(f"fallback: {message}", err=True)
