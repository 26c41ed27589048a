"""One thread, one event loop, and every server of a world on it.

Uses uvicorn's protocol and configuration but not `uvicorn.Server`: its listener cannot be closed and opened again on
the same port (the fault "refused"), and its shutdown waits for answers that a fake will never finish. Nothing but
127.0.0.1 is ever bound, and no signal handler is touched.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from uvicorn.server import ServerState

from fakes.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fakes.wire import Accept

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
_PATIENCE_S = 2  # for answers to notice that their connection is gone, before they are cancelled
_KEEP_ALIVE_S = (
    75  # nginx's default; longer than a client's pause between files, so that it is never the surprise
)


class Listener:
    """One server: a port of its own that stays its own, whether anybody listens there or not."""

    def __init__(self, name: str, send_buffer: int | None = None) -> None:
        self.name = name
        self._send_buffer = send_buffer
        # Bound but not listening: connects are refused, and no one else can be given the port meanwhile.
        self._claim = _bound(0)
        self.port = int(self._claim.getsockname()[1])
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    def serve(self, app: Callable[..., Any], on_accept: Accept = lambda _wire: None) -> None:
        """Say which ASGI application answers here; `open` begins."""
        config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        config.load()
        self._protocol = functools.partial(
            Connection, on_accept, self._send_buffer, config=config, server_state=self._state, app_state={}
        )

    async def open(self) -> None:
        """Listen."""
        if self._server is None:
            sock = _bound(self.port)
            if self._send_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol, sock=sock, backlog=512
            )

    async def shut(self) -> None:
        """Listen no more: connects are refused, and open connections are reset, as when a process dies."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            assert isinstance(connection, Connection)
            connection.drop()

    async def end(self) -> None:
        """Shut, wait for every task to notice, and give the port back."""
        await self.shut()
        tasks = list(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE_S)
            for task in late:
                task.cancel()
        self._claim.close()


class Host:
    """The thread and its loop. `call` runs a coroutine there and waits for what it returns."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fakes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = 30) -> T:
        """Run on the loop, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def settle(self) -> None:
        """Return when the loop has noticed everything that clients did before; at once on the loop's own thread."""
        if threading.current_thread() is not self._thread and self._loop.is_running():
            self.call(turns())

    def close(self) -> None:
        """Stop the loop and its thread; the listeners have ended before."""
        self.call(turns())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


async def turns(count: int = 5) -> None:
    """Let the loop go round: each turn polls every socket once and runs what that woke."""
    # From a byte arriving to the journal entry it completes are three turns: the reader, the event, the task.
    for _ in range(count):
        await asyncio.sleep(0)


def _bound(port: int) -> socket.socket:
    """A socket bound to loopback; two may share a port as long as one of them listens at most (socket(7), SO_REUSEADDR)."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock
