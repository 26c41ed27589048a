"""A port of 127.0.0.1 that stays its owner's: listened on, closed, or a black hole, and the same again afterwards.

Knows nothing of what is said on a connection: `factory` makes an asyncio protocol for each. What was connected before
the port was closed is its owner's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
_FILLERS = 8  # Linux needs one for a backlog of 0, other kernels a few more
_FULL_S = 0.05  # a connection over loopback that takes longer is not answered


class Port:
    """A claimed port. `send_buffer` is SO_SNDBUF of its connections, in bytes; None leaves it to the kernel."""

    def __init__(self, send_buffer: int | None = None) -> None:
        self._send_buffer = send_buffer
        # Bound but not listening: connects are refused, and no one else can be given the port meanwhile.
        self._claim = bound(0)
        self.number = int(self._claim.getsockname()[1])
        self._server: asyncio.Server | None = None
        self._hole: list[socket.socket] = []

    async def open(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Listen; once is enough."""
        if self._server is None:
            self.close()
            self._server = await asyncio.get_running_loop().create_server(
                factory, sock=self._bound(), backlog=512
            )

    async def deafen(self) -> None:
        """Answer no connection request, as a firewall that drops them: the backlog is full, and nobody accepts."""
        if self._hole:
            return
        self.close()
        listening = self._bound()
        listening.listen(0)
        self._hole.append(listening)
        for _ in range(_FILLERS):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the name says it
            self._hole.append(filler)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FULL_S):
                    await asyncio.get_running_loop().sock_connect(filler, (LOOPBACK, self.number))
                continue
            return
        raise RuntimeError(f"port {self.number} accepts connections with a full backlog")

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for sock in self._hole:
            sock.close()
        self._hole.clear()

    def release(self) -> None:
        """Give the port back."""
        self.close()
        self._claim.close()

    def _bound(self) -> socket.socket:
        sock = bound(self.number)
        if self._send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        return sock


def bound(port: int) -> socket.socket:
    """A socket bound to loopback; two may share a port as long as one of them listens at most (socket(7), SO_REUSEADDR)."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock
