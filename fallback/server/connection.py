"""Connections that cost little, whoever is at the other end: uvicorn's two protocols, with bounds of our own.

A request's head has `HEAD_S` to come, however it drips; connections are refused beyond a number; what is no
HTTP is answered in JSON as everything else. A client that takes nothing of an answer is cut off. A WebSocket client that takes nothing is read from no more, so
that pings it sends cannot fill our memory with pongs, and is cut off when the server ends.

Exclusions: how large a head may be is h11's to bound, how large a message websockets', and what the
requests may be `guard`'s.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fallback.server.guard import CSP, SECURITY

if TYPE_CHECKING:
    import asyncio

HEAD_S = 10.0
"""For the whole of a request's head, and as long may a connection say nothing at first."""

TAKE_S = 30.0
"""A client has so long to take what is ready for it, which is a piece of a file (256 KiB) at most: 8 KB/s."""


class HttpConnection(H11Protocol):
    """HTTP/1.1 until the end, or until it becomes a WebSocket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._head_due: asyncio.TimerHandle | None = None
        self._take_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it
        """Begin to wait for a head, or refuse."""
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
            transport.close()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Read on; the time for a head is not made longer by a part of it."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._head_came()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """It takes no more for now."""
        super().pause_writing()
        self._take_due = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        self._taken()

    def _taken(self) -> None:
        if self._take_due is not None:
            self._take_due.cancel()
            self._take_due = None

    def send_400_response(self, msg: str) -> None:
        """What came is no request."""
        self._answer(HTTPStatus.BAD_REQUEST, msg.rstrip(".").lower())
        self.transport.close()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._head_came()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_S, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _answer(self, status: HTTPStatus, error: str) -> None:
        """Answer below h11, which may be in no state to."""
        body = json.dumps({"error": error}).encode()
        headers = {
            **SECURITY,
            "content-security-policy": CSP,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *(f"{name}: {headers[name]}" for name in headers),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)


class WatchConnection(WebSocketsSansIOProtocol):
    """A WebSocket client."""

    def pause_writing(self) -> None:
        """It takes nothing: neither does it say anything."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It takes again; what it had said and nobody has read yet still keeps it waiting."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """The server ends: nobody waits for a client that takes nothing."""
        if self.writable.is_set():
            super().shutdown()
        else:
            self.transport.abort()
