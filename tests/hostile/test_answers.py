"""Hostile answers on raw sockets: any head, any framing, any body; redirects to places inside.

An answer ends as bytes within the limit or as an outcome in one short line; nothing else is raised, and it takes no longer
than its deadline. Attacks that are rows of the fault catalogue (header floods, gzip bombs, rings, smuggled answers, endless and
slow bodies, all mirrors slow) are played in tests/flow/test_every_fault.py.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.exchange import Request
from fallback.judging import judge
from fallback.manifest import File
from fallback.outcome import REASON_CHARS, Failed, Malformed
from fallback.sources import IpfsGateway
from fallback.transport import Transport
from tests.hostile.fuzzing import examples, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 5000
FILE = File("a.bin", LIMIT, "0" * 64)


class Raw:
    """A server at `host` that sends `answer` to whoever asks, and closes; it counts who came."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answer = b""
        self.connections = 0
        self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}/x"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


@pytest.fixture(name="raw")
def _raw() -> Iterator[Raw]:
    raw = Raw()
    yield raw
    raw.close()


@pytest.fixture(name="transport")
def _transport() -> Iterator[Transport]:
    """For it 127.0.0.1 is on the internet, and no other loopback address is."""
    transport = Transport(
        connect_timeout_s=1,
        timeout_s=1,
        connections=1,
        stop=lambda: False,
        is_public=lambda address: address in {"", "127.0.0.1"},
    )
    yield transport
    transport.close()


NAMES = st.sampled_from(
    ["Content-Length", "Content-Range", "Transfer-Encoding", "Content-Encoding", "Location", "ETag", "Retry-After", "Sunset",
     "RateLimit", "Content-Type", "Connection", "Set-Cookie", "X\x80", " X", "", "X:Y", "Content-Length ", "content-length"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["0", "5", "5000", "-1", "+5", "5, 5", "5, 6", "0x10", "9" * 30, "\u0665", "chunked", "gzip", "identity, chunked", "bytes 0-4999/5000",
     "bytes 7-9/*", "bytes */5000", "bytes 9-1/5", "*", "close", "keep-alive", "text/html", "multipart/byteranges", "/y", "//", "http://",
     "http://[::1", "http://127.0.0.2:1/", "file:///etc/passwd", "javascript:x", "?", "#", "\\\\x", "http://a:b@c:1:2/", "\x00", "\x1b[2J",
     "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Oct 0000 99:99:99 +9999", "Fri, 31 Dec 9999 23:59:59 -2359", "1e400", "NaN", '"x";r=0;t=99',
     '"tag"', 'W/"x"', "x" * 5000, "\r", "a=b; Domain=.", " ", ""]
)  # fmt: skip
STATUS = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 206 X", "HTTP/1.0 200", "HTTP/1.1 302 F", "HTTP/1.1 308 P", "HTTP/1.1 416 R", "HTTP/1.1 500 E",
     "HTTP/1.1 429 T", "HTTP/1.1 503 U", "HTTP/1.1 100 C", "HTTP/1.1 103 E", "HTTP/1.1 204 N", "HTTP/1.1 304 N", "HTTP/1.1 407 P",
     "HTTP/1.1 999 X", "HTTP/1.1 99 X", "HTTP/1.1 -200 X", "HTTP/2 200", "HTTP/9.9 200 OK", "ICY 200 OK", "", "GET / HTTP/1.1"]
)  # fmt: skip
BODIES = (
    st.binary(max_size=300)
    | st.sampled_from(
        [
            b"x" * 5000,
            b"x" * 6000,
            b"5\r\nhello\r\n0\r\n\r\n",
            b"ffffffffff\r\nx",
            b"-5\r\nx",
            b"5;" + b"e" * 70_000,
        ]
    )
    | st.sampled_from(
        [
            b"0\r\nContent-Length: 9\r\n\r\n",
            b"5\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
            b"\x1f\x8b\x08" + b"\0" * 50,
        ]
    )
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A head of plausible and implausible parts, and a body that may be of another framing."""
    ends = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "]))
    lines = [draw(STATUS)]
    lines += [f"{draw(NAMES)}: {draw(WORDS | st.text(max_size=20))}" for _ in range(draw(st.integers(0, 5)))]
    head = ends.join(lines).encode("utf-8", "replace") + draw(
        st.sampled_from([b"\r\n\r\n", b"\n\n", b"", b"\r\n"])
    )
    return head + draw(BODIES)


@examples(150)
@given(
    answer=answers() | st.binary(max_size=400),
    offset=st.sampled_from([0, 0, 7]),
    token=st.none() | st.just("hf_canary1"),
)
def test_any_answer(transport: Transport, raw: Raw, answer: bytes, offset: int, token: str | None) -> None:
    raw.answer = answer
    source = IpfsGateway(raw.url.removesuffix("/x"))
    request = Request(raw.url, token=token).resuming(offset, '"tag"', f"127.0.0.1:{raw.port}")
    with tried("HTTP answer"):
        try:
            with transport.open(request, min_rate_bytes_s=1, ends_in_s=5) as told:
                start = judge(source, request, told.head, FILE, 1e9)
                assert sum(map(len, told.pieces(LIMIT - start))) <= LIMIT
        except Failed as failed:
            assert 0 < len(failed.outcome.reason) <= REASON_CHARS
            assert failed.outcome.reason.isprintable()
            assert "canary" not in failed.outcome.reason


INSIDE = ["127.0.0.2", "0.0.0.0", "127.2", "2130706434", "0x7f000002", "0x7f.0.0.2", "0177.0.0.2", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]",
          "[::1]", "[::]", "localhost", "LOCALHOST.", "127.0.0.2.", "u:p@127.0.0.2", "%31%32%37.0.0.2", "inside.example", "both.example"]  # fmt: skip


@pytest.mark.fault(68)
@pytest.mark.parametrize("host", INSIDE)
def test_no_spelling_of_a_redirect_leads_inside(
    transport: Transport, raw: Raw, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """However the address is written, and whatever a name resolves to: nobody there is even connected to."""
    resolve = socket.getaddrinfo
    names = {"inside.example": ["127.0.0.2"], "both.example": ["127.0.0.2", "127.0.0.3", "::1"]}

    def lying(name: str, *rest: Any, **options: Any) -> list[Any]:
        return [each for known in names.get(name, [name]) for each in resolve(known, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    inside = [Raw(f"127.0.0.{number}") for number in (2, 3)]
    transport_like = Transport(
        connect_timeout_s=1,
        timeout_s=1,
        connections=1,
        stop=lambda: False,
        is_public=lambda address: address == "127.0.0.1",
    )
    if host in {"localhost", "LOCALHOST."}:  # which is the one address that is public here
        names[host] = names[host.rstrip(".")] = ["127.0.0.2"]
    for each in inside:
        raw.answer = (
            f"HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://{host}:{each.port}/\r\n\r\n".encode()
        )
        with (
            pytest.raises(Failed) as caught,
            transport_like.open(Request(raw.url), min_rate_bytes_s=1, ends_in_s=5),
        ):
            pass
        assert isinstance(caught.value.outcome, Malformed) or "resolve" in caught.value.outcome.reason
    assert [each.connections for each in inside] == [0, 0]
    for each in inside:
        each.close()
    transport_like.close()


def test_a_name_that_changes_its_address_is_judged_by_the_one_that_is_connected_to(
    transport: Transport, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is public, and the second would not be; there is no second."""
    resolve, asked = socket.getaddrinfo, list[str]()

    def rebinding(name: str, *rest: Any, **options: Any) -> list[Any]:
        asked.append(name)
        known = {"a.example": "127.0.0.1" if asked.count(name) == 1 else "127.0.0.2"}
        return list(resolve(known.get(name, name), *rest, **options))

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    private = Raw("127.0.0.2")
    raw.answer = (
        f"HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: http://a.example:{private.port}/\r\n\r\n".encode()
    )
    with pytest.raises(Failed), transport.open(Request(raw.url), min_rate_bytes_s=1, ends_in_s=5):
        pass
    assert asked.count("a.example") == 1
    assert private.connections == 0
    private.close()
