"""Asks HuggingFace about newer versions while the server runs, in a thread of its own.

When a model is due is written in the state database, so that many servers on one folder, and one that is
started often, ask no more than one does. The first look comes after a moment of chance: machines that are
started together do not ask together. Exclusions: nothing is upgraded (`upgrade`), and what cannot be
asked, or a manifest that cannot be read, is said once and never ends the server.
"""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING

from fallback.errors import FallbackError, StoppedError
from fallback.report import warn
from fallback.revalidate import check_versions, due_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.settings import Settings

FIRST_S = 60.0
"""The longest moment before the first look."""

LOOK_S = 900.0
"""Between two looks at what is due: a look costs a query, and no request."""

PATIENCE_S = 5.0
"""For the thread to end: a name that is being resolved cannot be interrupted."""


@contextlib.contextmanager
def revalidating(settings: Settings) -> Iterator[None]:
    """Ask about what is due, now and then, as long as this lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=_look, args=(settings, stop), name="revalidating", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def _look(settings: Settings, stop: threading.Event) -> None:
    pause = random.uniform(0, FIRST_S)  # noqa: S311 - spreads machines, keeps no secret
    said = ""
    while not stop.wait(pause):
        pause = LOOK_S
        try:
            if names := due_models(settings, warn):
                check_versions(names, settings=settings, stop=stop)
            said = ""
        except StoppedError:
            return
        except FallbackError as error:
            if str(error) != said:
                said = str(error)
                warn(f"versions are not asked for: {said}")
