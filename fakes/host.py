"""One thread, one event loop, and every server of a world on it.

Uses uvicorn's protocol and configuration but not `uvicorn.Server`: its listener cannot be closed and opened again on
the same port (the fault "refused"), and its shutdown waits for answers that a fake will never finish. Nothing but
127.0.0.1 is ever bound, and no signal handler is touched.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import uvicorn
from uvicorn.server import ServerState

from fakes.port import LOOPBACK, Port
from fakes.proxy import Proxy
from fakes.wire import Connection, Door

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fakes.certificates import Certificates
    from fakes.proxy import Passage

T = TypeVar("T")
_PATIENCE_S = 2  # for answers to notice that their connection is gone, before they are cancelled
_KEEP_ALIVE_S = (
    75  # nginx's default; longer than a client's pause between files, so that it is never the surprise
)


class Listener:
    """One server: a port of its own that stays its own, whether anybody listens there or not.

    With `certificates` it speaks TLS, and its URL says so. With a network in front (`open`), connections go by a proxy to
    a second port that nobody is told of.
    """

    def __init__(
        self, name: str, send_buffer: int | None = None, certificates: Certificates | None = None
    ) -> None:
        self.name = name
        self._send_buffer, self._certificates = send_buffer, certificates
        self._port, self._inner = Port(send_buffer), Port(send_buffer)
        self.port = self._port.number
        self.url = f"{'https' if certificates else 'http'}://{LOOPBACK}:{self.port}"
        self._state = ServerState()
        self._door = Door()
        self._has_network = False
        self._proxy = Proxy(LOOPBACK, self._inner.number, self._passage)

    def serve(self, app: Callable[..., Any], door: Door | None = None) -> None:
        """Say which ASGI application answers here, and what comes before; `open` begins."""
        self._config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        self._config.load()
        self._door = door or Door()

    def _connection(self) -> Connection:
        return Connection(
            self._door,
            send_buffer=self._send_buffer,
            certificates=self._certificates,
            config=self._config,
            server_state=self._state,
            app_state={},
        )

    async def open(self, *, network: bool = False) -> None:
        """Listen, with the network's faults in front or without; connections of the other kind end with their answer."""
        if network is not self._has_network:
            self._port.close()
            for connection in self._connections():
                connection.shutdown()
            self._has_network = network
            await turns(20)  # an idle client must find its connection closed: by us, then by the proxy
        if network:
            await self._inner.open(self._connection)
        await self._port.open(self._proxy.protocol if network else self._connection)

    async def shut(self) -> None:
        """Listen no more: connects are refused, and open connections are reset, as when a process dies."""
        self._port.close()
        self._inner.close()
        for connection in self._connections():
            connection.drop()

    async def deafen(self) -> None:
        """Answer connects no more; open connections are reset."""
        await self.shut()
        await self._port.deafen()

    async def end(self) -> None:
        """Shut, wait for every task to notice, and give the ports back."""
        await self.shut()
        await self._proxy.end()
        tasks = list(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_PATIENCE_S)
            for task in late:
                task.cancel()
        self._port.release()
        self._inner.release()

    def _passage(self, client: str) -> Passage:
        return self._door.passage(client)

    def _connections(self) -> list[Connection]:
        return [each for each in self._state.connections if isinstance(each, Connection)]


class Host:
    """The thread and its loop. `call` runs a coroutine there and waits for what it returns."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fakes", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        # Here, for whoever closes may be inside a loop of its own.
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

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


async def turns(count: int = 5) -> None:
    """Let the loop go round: each turn polls every socket once and runs what that woke."""
    # From a byte arriving to the journal entry it completes are three turns: the reader, the event, the task.
    for _ in range(count):
        await asyncio.sleep(0)
