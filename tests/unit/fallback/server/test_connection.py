"""Connections' bounds, without a connection: the loop and the transport are told what to do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from fallback.server.connection import HEAD_S, TAKE_S, HttpConnection, WatchConnection


class Timer:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """Timers that were asked for, and no time."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any, Timer]] = []

    def call_later(self, seconds: float, what: Any) -> Timer:
        self.timers.append((seconds, what, Timer()))
        return self.timers[-1][2]

    def create_task(self, coroutine: Any) -> Any:
        coroutine.close()
        return self

    def add_done_callback(self, _callback: Any) -> None:
        """As a task has it."""

    @property
    def waiting(self) -> list[tuple[float, Any]]:
        return [(seconds, what) for seconds, what, timer in self.timers if not timer.is_cancelled]


class Transport:
    """What was written, and whether it is read from."""

    def __init__(self) -> None:
        self.written = b""
        self.is_read, self.end = True, ""

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = "aborted"

    def is_closing(self) -> bool:
        return bool(self.end)

    def set_protocol(self, _protocol: object) -> None:
        """The next one's affair."""

    def get_extra_info(self, _name: str) -> None:
        """Nothing is known."""


async def application(_scope: object, _receive: object, _send: object) -> None:
    """Answers nothing; uvicorn would call one that takes no arguments to see whether it makes another."""


@pytest.fixture(name="state")
def _state() -> ServerState:
    return ServerState()


def made(kind: Any, state: ServerState, **options: Any) -> tuple[Any, Loop, Transport]:
    config = uvicorn.Config(application, ws=WatchConnection, log_config=None, log_level="critical", **options)
    config.load()
    loop, transport = Loop(), Transport()
    connection = kind(config=config, server_state=state, app_state={}, _loop=loop)
    connection.connection_made(transport)
    return connection, loop, transport


def test_a_head_has_so_long_however_it_drips(state: ServerState) -> None:
    connection, loop, transport = made(HttpConnection, state)
    assert loop.waiting == [(HEAD_S, transport.abort)]
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n":
        connection.data_received(bytes([byte]))
    assert loop.waiting == [(HEAD_S, transport.abort)]
    connection.data_received(b"\r\n")
    assert not loop.waiting


def test_a_websocket_is_no_head_that_is_waited_for(state: ServerState) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

    async def upgraded() -> Any:
        # The WebSocket's own protocol takes the loop that runs.
        connection, loop, _ = made(HttpConnection, state)
        connection.data_received(upgrade)
        await asyncio.gather(*state.tasks)
        return loop

    assert not asyncio.run(upgraded()).waiting


def test_who_takes_nothing_of_an_answer_is_cut_off(state: ServerState) -> None:
    connection, loop, transport = made(HttpConnection, state)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.pause_writing()
    assert loop.waiting == [(TAKE_S, transport.abort)]
    connection.resume_writing()
    assert not loop.waiting
    connection.pause_writing()
    connection.connection_lost(None)
    assert not loop.waiting


def test_a_connection_that_is_lost_is_waited_for_no_more(state: ServerState) -> None:
    connection, loop, _ = made(HttpConnection, state)
    connection.connection_lost(None)
    assert not loop.waiting


def test_one_connection_too_many_is_told_so(state: ServerState) -> None:
    for _ in range(2):
        assert made(HttpConnection, state, limit_concurrency=2)[2].end == ""
    _, loop, transport = made(HttpConnection, state, limit_concurrency=2)
    assert transport.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert transport.written.endswith(b'{"error": "too many connections"}')
    assert (transport.end, loop.waiting) == ("closed", [])


def test_one_that_takes_nothing_is_read_from_no_more(state: ServerState) -> None:
    connection, _, transport = made(WatchConnection, state)
    connection.pause_writing()
    assert not transport.is_read
    connection.resume_writing()
    assert transport.is_read


def test_at_the_end_one_that_takes_nothing_is_cut_off(state: ServerState) -> None:
    connection, _, transport = made(WatchConnection, state)
    connection.pause_writing()
    connection.shutdown()
    assert transport.end == "aborted"
