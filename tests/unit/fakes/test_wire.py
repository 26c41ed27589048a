"""The wire by itself: plain ASGI beside raw bytes, keep-alive, pipelines, and what a closed host leaves behind."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.host import Host, Listener
from fakes.wire import WIRE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.fakes.conftest import Talk


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def listening(host: Host, app: Any) -> Listener:
    listener = Listener("x")
    listener.serve(app)
    host.call(listener.open())
    return listener


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """An application that knows nothing of wires."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()[1:]})


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """An application that writes what it likes."""
    wire = scope["extensions"][WIRE]
    await wire.write(
        b"HTTP/1.1 200 fine\r\ncontent-length: 2\r\n\r\n" + scope["path"].encode()[1:], lambda _n: None
    )
    if scope["path"] == "/rs":
        await wire.reset()
    else:
        wire.finish(keep_alive=wire.keep_alive)


@pytest.mark.parametrize("app", [plain, raw])
def test_plain_asgi_and_raw_bytes_keep_the_connection_and_the_order(host: Host, talk: Talk, app: Any) -> None:
    listener = listening(host, app)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as sock:
        for _ in range(2):
            sock.sendall(
                b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name for name in (b"aa", b"bb", b"cc"))
            )
            data = b""
            while data.count(b"\r\n\r\n") < 3 or not data.endswith(b"cc"):
                data += sock.recv(4096)
            assert data.index(b"\r\n\r\naa") < data.index(b"\r\n\r\nbb") < data.index(b"\r\n\r\ncc")
        sock.sendall(b"GET /dd HTTP/1.0\r\n\r\n")
        heard = talk.hear(sock)
        assert (heard.body, heard.end) == (b"dd", "fin")
    host.call(listener.end())


def test_a_rst_comes_after_everything_written(host: Host, talk: Talk) -> None:
    listener = listening(host, raw)
    for _ in range(50):
        heard = talk(f"{listener.url}/rs")
        assert (heard.body, heard.end) == (b"rs", "rst")
    host.call(listener.end())


def test_what_is_no_http_gets_a_400(host: Host, talk: Talk) -> None:
    listener = listening(host, plain)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as sock:
        sock.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert talk.hear(sock).status == 400
    host.call(listener.end())


def test_a_port_is_kept_while_nobody_listens(host: Host, talk: Talk) -> None:
    listener = listening(host, plain)
    host.call(listener.shut())
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", listener.port))
    host.call(listener.open())
    host.call(listener.open())  # once is enough
    assert talk(f"{listener.url}/ok").body == b"ok"
    host.call(listener.end())


def test_an_answer_that_never_ends_does_not_keep_a_listener(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that does not look at its connection: it is cancelled."""
    monkeypatch.setattr("fakes.host._PATIENCE_S", 0.1)

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()

    ended = threading.Event()
    listener = listening(host, stubborn)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        host.settle()
        host.call(listener.end())
        host.settle()
    assert ended.is_set()


def test_nothing_is_left_of_a_host() -> None:
    before = set(Path("/proc/self/fd").iterdir()), threading.active_count()
    host = Host()
    listener = listening(host, plain)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as sock:
        sock.sendall(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
        host.settle()
        host.call(listener.end())
    host.close()
    assert (set(Path("/proc/self/fd").iterdir()), threading.active_count()) == before
