"""The connection itself, in the application's hands: uvicorn's HTTP parser in front, raw bytes and RST behind.

`Connection` is uvicorn's httptools protocol; for each request it puts a `Wire` into `scope["extensions"][WIRE]`. An
application may ignore it and answer by ASGI, or write whatever bytes it likes. The connection can also be taken before
any request was read (`Door`). `fakes.host` listens; nothing here decides what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fakes.proxy import Passage
from fakes.tls import Handshake, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from fakes.certificates import Certificates

WIRE = "fakes.wire"
_PORTION = 1 << 20  # bytes a write, at most
_FLUSH_S = 1.0  # how long a RST waits for what was sent before it; a client that does not read gets less


class Door:
    """What becomes of a connection before its first request; here: nothing out of the ordinary."""

    def accept(self, wire: Wire) -> Coroutine[Any, Any, None] | None:
        """Take the connection as soon as it is there, before TLS; then no request is read."""
        del wire
        return None

    def handshake(self, client: str) -> Handshake:
        """How the TLS handshake goes, where TLS is spoken."""
        del client
        return Handshake()

    def passage(self, client: str) -> Passage:
        """What the network does to a connection, where there are faults of the network."""
        del client
        return Passage()


class Connection(HttpToolsProtocol):
    """One connection, over TLS if there are certificates. The door says what comes before a request is read."""

    def __init__(
        self, door: Door, *, send_buffer: int | None, certificates: Certificates | None, **options: Any
    ) -> None:
        super().__init__(**options)
        # Where the kernel takes little at a time, give it little: what is with us when a client leaves goes uncounted.
        self.portion = send_buffer or _PORTION
        self._door, self._certificates = door, certificates
        self._taken = False
        self.gone = asyncio.Event()
        self.dropped = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it
        """Write straight through: what asyncio still holds back is not sent, and the journal must know."""
        super().connection_made(transport)
        self.below = transport
        transport.set_write_buffer_limits(high=0)
        wire = Wire(self, None)
        taker = self._door.accept(wire)
        if taker is not None:
            self._taken = True
            task = self.loop.create_task(taker)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        elif self._certificates is not None:
            Tls(transport, self, self._certificates, self._door.handshake(wire.client), self._secured)

    def _secured(self, tls: Tls) -> None:
        self.transport, self.scheme = tls, "https"

    def data_received(self, data: bytes) -> None:
        """Read a request, unless somebody has taken the connection: then nobody listens."""
        if not self._taken:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        """Hand the wire over with the request; a proxy's CONNECT asks for /host:port."""
        if self.parser.get_method() == b"CONNECT":
            self.url = b"/" + self.url
        # uvicorn starts the application as a task, so this still comes before its first line.
        super().on_headers_complete()
        self.scope["extensions"] = {WIRE: Wire(self, self.cycle)}  # type: ignore[dict-item]  # an object, not options

    def _unsupported_upgrade_warning(self) -> None:
        """A CONNECT is answered like any request; uvicorn would warn of a WebSocket library."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everyone who waits on this connection."""
        super().connection_lost(exc)
        self.gone.set()

    def reset(self) -> None:
        """End with a RST: a close with a linger time of zero discards and resets (socket(7), SO_LINGER)."""
        sock = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # already closed by the other side
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def drop(self) -> None:
        """End with a RST because the server, not an answer, says so."""
        self.dropped = True
        self.reset()


class Wire:
    """One request's way to the client. After `close`, `reset` or `finish` the request is answered."""

    def __init__(self, connection: Connection, cycle: RequestResponseCycle | None) -> None:
        self._connection, self._cycle = connection, cycle

    @property
    def client(self) -> str:
        """The client as address:port."""
        host, port = self._connection.client or ("", 0)
        return f"{host}:{port}"

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants the connection to stay open."""
        return self._cycle is not None and self._cycle.keep_alive

    @property
    def gone(self) -> bool:
        """Whether the connection is over."""
        return self._connection.gone.is_set() or self._connection.transport.is_closing()

    @property
    def dropped(self) -> bool:
        """Whether the server ended the connection, whatever the answer was about to do."""
        return self._connection.dropped

    async def write(self, data: bytes | memoryview, sent: Callable[[int], None]) -> None:
        """Send bytes as they are, and return when the kernel has them all; `sent` is told how many it took."""
        transport = self._connection.transport
        for start in range(0, len(data), self._connection.portion):
            part = data[start : start + self._connection.portion]
            transport.write(part)
            waiting = transport.get_write_buffer_size()
            if self.gone:
                return
            # Over TLS, what waits is longer than what was to be sent.
            taken = max(0, len(part) - waiting)
            sent(taken)
            if waiting:
                await self._connection.flow.drain()
                if self.gone:
                    return
                sent(len(part) - taken)

    async def wait(self, seconds: float | None = None) -> None:
        """Do nothing for so long (None: for ever), or until the connection is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._connection.gone.wait()

    def cut(self) -> None:
        """End with a FIN and no goodbye of TLS; without TLS that is how every connection ends."""
        self._connection.below.close()
        self.finish(keep_alive=False)

    async def reset(self) -> None:
        """End with a RST, after the client's kernel has everything sent so far (if it takes it within a second)."""
        # A RST throws away what is still on its way; the offset at which an answer breaks would be anybody's guess.
        sock = self._connection.transport.get_extra_info("socket")
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_FLUSH_S):
                while not self.gone and _unacknowledged(sock):  # noqa: ASYNC110  # the kernel sets no Event for this
                    await asyncio.sleep(0.002)
        self._connection.reset()
        self.finish(keep_alive=False)

    def finish(self, *, keep_alive: bool) -> None:
        """The answer is over; the connection is closed with a FIN, or goes on to the next request."""
        if not keep_alive:
            self._connection.transport.close()
        if self._cycle is not None:
            # What uvicorn notes itself when an answer goes by ASGI.
            self._cycle.response_started = self._cycle.response_complete = True
            self._cycle.message_event.set()
            self._cycle.on_response()


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes sent that the other kernel has not acknowledged (tcp(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
