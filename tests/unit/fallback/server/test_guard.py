"""Who is let in, decided from a request's head alone; and what becomes of bodies and answers."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fallback.server import guard
from fallback.server.guard import BODY_BYTES, HEADER_BYTES, SUBPROTOCOL, Door, Guard, Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "canary-0123456789abcdef"
OURS = {"host": "127.0.0.1:8484"}
LOCAL = Door(None)
OPEN = Door(TOKEN, frozenset({"models.example"}), local=False)


def scope(
    headers: dict[str, str], *, method: str = "GET", path: str = "/gm/", kind: str = "http"
) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": kind, "method": method, "path": path, "headers": raw}


def status(door: Door, headers: dict[str, str], **about: str) -> int:
    try:
        door.check(scope(headers, **about))
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("host", "local", "anywhere"),
    [
        ("127.0.0.1:8484", 200, 200),
        ("127.0.0.1", 200, 200),
        ("127.9.9.9:1", 200, 200),
        ("localhost:8484", 200, 200),
        ("LOCALHOST.", 200, 200),
        ("[::1]:8484", 200, 200),
        ("192.0.2.7:8484", 421, 200),
        ("models.example", 421, 200),
        ("evil.example:8484", 421, 421),
        ("localhost.evil.example", 421, 421),
        ("127.0.0.1.evil.example", 421, 421),
        ("evil.example#127.0.0.1", 421, 421),
        ("evil@127.0.0.1", 421, 421),
        ("127.0.0.1:8484:1", 421, 421),
        ("127.0.0.1:", 421, 421),
        ("127.0.0.1:x", 421, 421),
        ("[::1", 421, 421),
        ("", 421, 421),
        ("2130706433", 421, 421),
    ],
)
def test_host_must_be_ours(host: str, local: int, anywhere: int) -> None:
    """A name of somebody else's that leads here is DNS rebinding; an IP address can be none."""
    assert status(LOCAL, {"host": host}) == local
    assert status(OPEN, {"host": host, "authorization": f"Bearer {TOKEN}"}) == anywhere


def test_without_a_host_and_with_two_nobody_is_meant() -> None:
    assert status(LOCAL, {}) == 421
    twice = scope(OURS)
    twice["headers"] *= 2
    with pytest.raises(Refusal):
        LOCAL.check(twice)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8484"}, 200),
        ({"origin": "https://127.0.0.1:8484"}, 200),
        ({"origin": "http://127.0.0.1:8484", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8484.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_what_changes_something_is_asked_by_our_own_page_or_by_no_page(
    headers: dict[str, str], expected: int
) -> None:
    assert status(LOCAL, OURS | headers, method="POST") == expected
    assert status(LOCAL, OURS | headers, method="DELETE") == expected
    assert status(LOCAL, OURS | headers, kind="websocket") == expected
    assert status(LOCAL, OURS | headers) == 200


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"user:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (basic(TOKEN), 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer ", 401),
        (TOKEN, 401),
        (f"Token {TOKEN}", 401),
        (basic("wrong"), 401),
        ("Basic !!!", 401),
        ("Basic /w==", 401),
        ("Bearer \xff\xfe", 401),
        ("", 401),
    ],
)
def test_the_token_lets_in_and_nothing_else_does(credentials: str, expected: int) -> None:
    headers = OURS | {"authorization": credentials}
    assert status(OPEN, headers) == expected
    assert status(OPEN, headers, kind="websocket") == expected


def protocols(token: str) -> str:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return f"{SUBPROTOCOL}, bearer.{encoded}"


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (protocols(TOKEN), 200),
        (protocols(TOKEN + "x"), 401),
        (protocols(""), 401),
        (SUBPROTOCOL, 401),
        (TOKEN, 401),
        (f"bearer.{TOKEN}!", 401),
        ("bearer.=", 401),
        ("bearer.\xff", 401),
        ("", 401),
    ],
)
def test_a_websocket_may_bring_the_token_among_its_subprotocols(offered: str, expected: int) -> None:
    """A page has no other way: it can set no header, and a URL would be in logs."""
    assert status(OPEN, OURS | {"sec-websocket-protocol": offered}, kind="websocket") == expected


@pytest.mark.parametrize("token", ["a", "ab", "abc", "~~~>>>???", "!" * 100])
def test_a_token_of_any_length_and_character_fits_a_subprotocol(token: str) -> None:
    door = replace(OPEN, token=token)
    assert status(door, OURS | {"sec-websocket-protocol": protocols(token)}, kind="websocket") == 200


def test_only_health_needs_no_token() -> None:
    assert status(OPEN, OURS, path="/healthz") == 200
    for path in ("/gm/", "/metrics", "/openapi.json", "/healthz/", "//healthz", "/gm/../healthz"):
        assert status(OPEN, OURS, path=path) == 401
    assert status(OPEN, {"host": "evil.example"}, path="/healthz") == 421


def test_the_token_is_compared_whole_and_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, token: bytes) -> bool:
        compared.append((given, token))
        return False

    monkeypatch.setattr("fallback.server.guard.hmac.compare_digest", compare)
    assert status(OPEN, OURS | {"authorization": "Bearer x"}) == 401
    assert compared == [(b"x", TOKEN.encode())]


def test_a_head_that_is_too_large_is_refused_before_it_is_read() -> None:
    assert status(OPEN, {"x": "a" * HEADER_BYTES}) == 431


def through(
    app: ASGIApp, request: dict[str, Any], incoming: list[Message], door: Door = LOCAL
) -> list[dict[str, Any]]:
    """What a guarded application sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(dict(message))

    asyncio.run(Guard(app, door)(request, receive, send))
    return sent


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})
    await send({"type": "http.response.body", "body": message["body"]})


def piece(size: int, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in message["headers"]}


@pytest.mark.parametrize(
    ("pieces", "promised", "answer"),
    [
        ([piece(0)], None, 200),
        ([piece(BODY_BYTES)], None, 200),
        ([piece(BODY_BYTES - 1, more=True), piece(1)], None, 200),
        ([piece(BODY_BYTES, more=True), piece(1)], None, 413),
        ([piece(0)], str(BODY_BYTES + 1), 413),
        ([piece(1 << 20, more=True)] * 20, None, 413),
        ([piece(1, more=True), {"type": "http.disconnect"}], None, 200),
    ],
)
def test_a_body_is_small_and_whole(pieces: list[Message], promised: str | None, answer: int) -> None:
    asked = scope(OURS | ({"content-length": promised} if promised else {}), method="POST")
    left = list(pieces)
    start, body = through(echo, asked, left)
    assert start["status"] == answer
    if answer == 200:
        assert body["body"] == b"".join(each.get("body", b"") for each in pieces)
    assert len(left) >= len(pieces) - 9  # of a flood, no more than politeness asks for was read


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.01)
    sent: list[dict[str, Any]] = []

    async def never() -> Message:
        await asyncio.sleep(10)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(dict(message))

    asyncio.run(Guard(echo, LOCAL)(scope(OURS, method="POST"), never, send))
    assert (sent[0]["status"], headers_of(sent[0])["connection"]) == (408, "close")


def test_every_answer_has_the_security_headers_and_keeps_its_own() -> None:
    start, _ = through(echo, scope(OURS), [piece(0)])
    headers = headers_of(start)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "public"


def test_a_refusal_is_json_with_the_same_headers_and_says_how_to_sign_in() -> None:
    start, body = through(echo, scope(OURS), [piece(0)], OPEN)
    assert (start["status"], json.loads(body["body"])) == (401, {"error": "a token is needed"})
    assert {"www-authenticate", "x-frame-options", "content-security-policy"} <= set(headers_of(start))


def test_a_websocket_is_refused_before_it_is_one() -> None:
    sent = through(echo, scope(OURS | {"origin": "http://evil.example"}, kind="websocket"), [])
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 403


@pytest.mark.parametrize("begun", ["nothing", "something"])
def test_a_mistake_of_ours_leaves_as_json_or_not_at_all(
    begun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(asked: Scope, receive: Receive, send: Send) -> None:
        if begun == "something":
            await echo(asked, receive, send)
        raise ZeroDivisionError("secret detail")

    sent = through(broken, scope(OURS), [piece(0)])
    assert [message.get("status") for message in sent] == (
        [200, None] if begun == "something" else [500, None]
    )
    assert "secret detail" not in str(sent)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_one_that_the_end_of_the_server_cuts_off_is_told() -> None:
    sent: list[dict[str, Any]] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(dict(message))

    async def test() -> None:
        task = asyncio.ensure_future(Guard(echo, LOCAL)(scope(OURS), never, send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(test())
    assert [message.get("status") for message in sent] == [503, None]
