"""The same server in a thread of a process that does something else: of a node that shares what it has.

It ends with `close`, or with the process. Exclusions: signals are the process's own, and HuggingFace is asked
for no versions.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from fallback.errors import FallbackError
from fallback.server.serving import PATIENCE_S, bound, origin_of, served

if TYPE_CHECKING:
    from types import TracebackType

    from fallback.events import Observer
    from fallback.server.serving import Server
    from fallback.settings import Settings

START_S = 30.0


class Background:
    """A server that answers from here on at `url`; `observer` counts a run's events for its `/metrics`.

    Raises:
        SettingsError: the address cannot be had.
        FallbackError: it did not start.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listening = bound(settings)
        self.url = origin_of(self._listening)
        self._ready = threading.Event()
        self._server: Server | None = None
        self._observer: Observer | None = None
        self._thread = threading.Thread(target=self._run, name="fallback-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._server is None:
            self.close()
            raise FallbackError(f"the server at {self.url} did not start")

    @property
    def observer(self) -> Observer:
        """What counts a run's events."""
        assert self._observer is not None, "it has started"
        return self._observer

    def close(self) -> None:
        """Finish what is under way, a few seconds at most, and end."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(2 * PATIENCE_S)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()  # nobody waits for one that has failed

    async def _serve(self) -> None:
        server, self._observer = served(self._settings)
        self._server = server
        await server.listen(self._listening, self._ready.set)
