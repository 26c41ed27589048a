"""The WebSocket: how the runs stand, told to everyone who watches.

A frame is one `model_download_progress` message (`broadcast`); what else changed since the client's last
frame rides along under its key `also`, in the same form. A client gets a frame when it connects, `FRAME_S`
apart after that, and none while nothing changes. There are no queues: a client has the number of the last
change it was told of, and its next frame is made of what changed since; so a slow one loses intermediate
progress and no final state, and costs a number. Clients that are equally far share the frame's text.

Exclusions: what a client says means nothing here, and one that says much is let go. The download's
threads never wait for a client: they leave a mark and go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect

from fallback.broadcast import TYPE, Broadcast
from fallback.server.guard import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.websockets import WebSocket

    from fallback.manifest import Model

FRAME_S = 0.25
"""Between two frames of a client: four a second."""

SEND_S = 30.0
"""A client that takes nothing for so long is let go."""

CLOSE_S = 1.0
"""As long may saying goodbye take."""

ALSO = 256
"""The most messages that ride along; the rest has frames of its own."""

REMEMBERED = 32
"""Runs that are over, of whose ends a client may still have to be told."""

SAID = 16
"""Messages a client may say: none is needed."""

GOING_AWAY, POLICY, TRY_LATER = 1001, 1008, 1013

IDLE: dict[str, Any] = {
    "type": TYPE,
    **dict.fromkeys(("runId", "currentGateway", "source", "gateway", "eta")),
    "modelId": "",
    "model": [],
    "status": "paused",
    **dict.fromkeys(("bytesDownloaded", "bytesRemaining", "totalBytes", "downloadSpeed", "retryCount"), 0),
    **dict.fromkeys(("percentComplete", "progress", "completedFiles", "totalFiles"), 0),
    **dict.fromkeys(("started", "done", "downloading"), False),
}
"""What a client is told that connects before the first run."""


class Feed:
    """The runs as they are told, and the clients that are told; all but `mark` belongs to the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, limit: int) -> None:
        self._loop, self._limit = loop, limit
        self._marks = itertools.count(1)
        self._runs: tuple[Broadcast, ...] = ()
        self._woken = self._turn = False
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._frames: dict[int, tuple[int, str]] = {}
        self._serving: set[asyncio.Task[Any]] = set()

    def run(self, run_id: str, models: Iterable[Model]) -> Broadcast:
        """A new run to tell of; from any thread, but one at a time."""
        models = tuple(models)
        told = Broadcast(
            run_id,
            {model.name: model.type for model in models},
            {(model.name, file.path): file.size for model in models for file in model.files},
            now=lambda: time.time_ns() // 1_000_000,
            mark=self.mark,
        )
        over = [each for each in self._runs if each.is_done]
        forgotten = over[: max(0, len(over) - REMEMBERED + 1)]
        self._runs = (*(each for each in self._runs if each not in forgotten), told)
        self.mark()
        return told

    def mark(self) -> int:
        """Something changed; from any thread."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody watches any more
                self._loop.call_soon_threadsafe(self._wake)
        return next(self._marks)

    @property
    def clients(self) -> int:
        """How many watch now."""
        return len(self._serving)

    async def close(self) -> None:
        """Let every client go, with the reason; one that does not take it is not waited for."""
        self._closing.set()
        if self._serving:
            await asyncio.wait(self._serving, timeout=CLOSE_S)

    async def serve(self, websocket: WebSocket) -> None:
        """Tell one client until it, or the server, goes away."""
        offered = websocket.scope["subprotocols"]
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        if self.clients >= self._limit or self._closing.is_set():
            await websocket.close(TRY_LATER, "too many watch already, or the server is stopping")
            return
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            code, reason = await self._until_over(websocket)
            with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # it is gone already
                async with asyncio.timeout(CLOSE_S):
                    await websocket.close(code, reason)
        finally:
            self._serving.discard(task)

    async def _until_over(self, websocket: WebSocket) -> tuple[int, str]:
        """Tell the client; with which code and reason it is to be let go."""
        ends = {
            asyncio.create_task(self._tell(websocket)): (TRY_LATER, "too slow"),
            asyncio.create_task(_listen(websocket)): (POLICY, "nothing is to be said here"),
            asyncio.create_task(self._closing.wait()): (GOING_AWAY, "the server is stopping"),
        }
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        for task in done:
            task.result()  # what it raised is a mistake of ours
        return next(end for task, end in ends.items() if task in done)

    async def _tell(self, websocket: WebSocket) -> None:
        """Return when the client is too slow, or gone."""
        seen = 0
        with contextlib.suppress(TimeoutError, WebSocketDisconnect):
            while True:
                seen, text = self._frame(seen)
                if text:
                    async with asyncio.timeout(SEND_S):
                        await websocket.send_text(text)
                    await asyncio.sleep(FRAME_S)
                else:
                    await self._changed.wait()

    def _wake(self) -> None:
        self._woken = False
        self._frames.clear()  # before anybody looks: also that nothing had changed is no longer true
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _frame(self, seen: int) -> tuple[int, str]:
        """The next frame of whoever has seen that much, and how much it has seen then; "" if nothing changed."""
        if seen not in self._frames:
            upto, messages = self._since(seen)
            if seen == 0 and not messages:
                messages = [IDLE | {"timestamp": time.time_ns() // 1_000_000}]
            self._turn = not self._turn
            text = _text(messages, run_first=seen == 0 or self._turn)
            self._frames[seen] = (upto if messages else seen, text)
        return self._frames[seen]

    def _since(self, seen: int) -> tuple[int, list[dict[str, Any]]]:
        """What a frame takes of what changed after `seen`, and up to which mark that is everything."""
        runs = self._runs
        if seen == 0:
            runs = tuple(run for run in runs if not run.is_done) or runs[-1:]
        upto = next(self._marks)  # before the runs are looked at: what changes meanwhile is told again
        changed: list[tuple[int, dict[str, Any]]] = []
        for run in runs:
            messages = run.since(seen, ALSO + 1)  # one more than a frame takes: so it is known that there are
            if seen and len(messages) > 1 and messages[-1][1]["done"]:  # a run's end comes after its files'
                upto = min(upto, messages.pop()[0] - 1)
            changed += messages
        changed.sort(key=lambda each: each[0])
        if len(changed) > ALSO:
            changed = changed[:ALSO]
            upto = min(upto, changed[-1][0])
        return upto, [message for _, message in changed]


def _text(messages: list[dict[str, Any]], *, run_first: bool) -> str:
    """The frame. On top: a run's end, else the run's message (`run_first`) or a file's, by turns."""
    if not messages:
        return ""
    ends = [each for each in messages if "file" not in each and each["done"]]
    of_runs = [each for each in messages if "file" not in each]
    of_files = [each for each in messages if "file" in each]
    over = [each for each in of_files if each["done"]]
    by_turns = (of_runs, over, of_files) if run_first else (over, of_files, of_runs)
    top = next(group[-1] for group in (ends, *by_turns) if group)
    also = [each for each in messages if each is not top]
    return json.dumps(top | ({"also": also} if also else {}))


async def _listen(websocket: WebSocket) -> None:
    """Return when the client has gone, or has said too much."""
    for _ in range(SAID):
        if (await websocket.receive())["type"] == "websocket.disconnect":
            return
