"""What stands before every request: who may ask, from where, how much, and what an answer says besides.

In this order: the headers' size; Host, which must be an IP address, localhost or a name that was set (a
name of somebody else's that leads here is DNS rebinding); for all that is no GET, and for WebSockets,
Origin and Sec-Fetch-Site, which must be ours (no cross-site request); the token, where one is set, as
Bearer or as the password of Basic, so that a browser can ask for it, for everything but /healthz and the page
(which says 401 itself, with a field for the token in it), and files may have a token of their own; the body's size and time. A page cannot give its
WebSocket headers: there the token comes among the subprotocols, for a URL would be in logs. An answer of ours
is JSON; an error says no more than its kind. Every answer has the security headers.

Exclusions: no TLS (a proxy's), no sessions or cookies, no rate limit. The token is compared in constant
time and is in no message or log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import json
import sys
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER_BYTES = 16 << 10
BODY_BYTES = 64 << 10
BODY_S = 10.0
"""For the whole of a body."""

DRAINED_BYTES = 8 << 20
"""Of a body that is refused, so much is read and thrown away: a client that still sends hears no answer."""

LOCAL_NAMES = frozenset({"localhost"})
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""What may be loaded by an answer that does not say otherwise itself."""

SUBPROTOCOL = "fallback"
"""What a WebSocket client names besides its token, for one of those named has to be chosen."""

BEARER = "bearer."
"""Begins a subprotocol that is a token, in unpadded base64url."""

_URL_SAFE = str.maketrans("-_", "+/")


class Refusal(Exception):  # noqa: N818 - it carries an answer
    """An answer that is an error, as JSON."""

    def __init__(self, status: int, error: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.status, self.error, self.headers = status, error, headers
        super().__init__(error)


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in: a token for all but `open_paths`, or None; only IP addresses, localhost and `names` as Host.

    `local`: of IP addresses, only this machine's own. Below `files` are paths for which `files_token` will do,
    too; with neither token they are open.
    """

    token: str | None = field(repr=False)
    names: frozenset[str] = frozenset()
    local: bool = True
    open_paths: frozenset[str] = frozenset({"/healthz"})
    files: tuple[str, ...] = ()
    files_token: str | None = field(default=None, repr=False)

    def check(self, scope: Scope) -> None:
        """Raise a `Refusal` unless the request may pass; its body was not looked at."""
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            raise Refusal(431, f"headers of more than {HEADER_BYTES} bytes")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.knows(hosts[0]):
            raise Refusal(421, "this server has no such name; see the setting serve_names")
        if scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            _same_origin(headers, hosts[0])
        if (tokens := self._due(scope["path"])) and not _brings(headers, tokens):
            raise Refusal(
                401, "a token is needed", (("www-authenticate", 'Basic realm="fallback", charset="UTF-8"'),)
            )

    def knows(self, host: str) -> bool:
        """Whether a Host header (name and port) can be meant for us."""
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").rstrip(".")
            plain = parts.port is not None or not host.endswith(":")
        except ValueError:
            return False
        if not plain or parts.netloc != host or parts.username is not None:
            return False
        if name in LOCAL_NAMES | self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.local

    def admits(self, headers: Headers) -> bool:
        """Whether one of the request's credentials is the token."""
        assert self.token is not None
        return _brings(headers, [self.token])

    def _due(self, path: str) -> list[str]:
        """The tokens of which one must be brought to this path; none: it is open."""
        if path in self.open_paths:
            return []
        tokens = (self.token, self.files_token if path.startswith(self.files) else None)
        return [token for token in tokens if token is not None]


def _brings(headers: Headers, tokens: list[str]) -> bool:
    """Whether one of the request's credentials is one of these tokens."""
    pairs = [(given, token.encode()) for given in _given(headers) for token in tokens]
    return any([hmac.compare_digest(given, token) for given, token in pairs])  # noqa: C419 - all of them


def _given(headers: Headers) -> list[bytes]:
    """What a request brings as a token, in each way it may."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    given = [_decoded(value).partition(b":")[2]] if scheme.lower() == "basic" else []
    if scheme.lower() == "bearer":
        given.append(value.strip().encode())
    offered = headers.get("sec-websocket-protocol", "").split(",")
    bearers = [each.strip()[len(BEARER) :] for each in offered if each.strip().startswith(BEARER)]
    given += [_decoded(each.translate(_URL_SAFE) + "=" * (-len(each) % 4)) for each in bearers]
    return [each for each in given if each]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _same_origin(headers: Headers, host: str) -> None:
    """A browser says who made it ask; other clients say nothing."""
    for origin in headers.getlist("origin"):
        try:
            is_ours = urlsplit(origin).netloc.lower() == host.lower()
        except ValueError:
            is_ours = False
        if not is_ours:
            raise Refusal(403, "a page of another origin may not do this")
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise Refusal(403, "a page of another site may not do this")


class Guard:
    """The application behind the door; nothing it does leaves as anything but an answer."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or answer for it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        sending = _Sending(scope, send)
        try:
            self._door.check(scope)
            if scope["type"] == "http":
                receive = _replayed(await _body(scope, receive), receive)
            await self._app(scope, receive, sending)
        except Refusal as refusal:
            await sending.refuse(refusal)
        except asyncio.CancelledError:  # the server ends and waits for this no longer
            await sending.refuse(Refusal(503, "the server is stopping"))
            raise
        except Exception:  # noqa: BLE001 - the client gets no traceback; whoever runs this does
            traceback.print_exc(file=sys.stderr)
            await sending.refuse(Refusal(500, "a mistake of this program"))


class _Sending:
    """What is sent, with the security headers; `refuse` answers itself while nothing was."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            for name, value in {**SECURITY, "content-security-policy": CSP}.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        self._begun = True
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self._begun:
            return
        kind = "websocket.http.response" if self._scope["type"] == "websocket" else "http.response"
        body = json.dumps({"error": refusal.error}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))} | dict(
            refusal.headers
        )
        if refusal.status in {408, 413}:
            headers["connection"] = "close"
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self({"type": f"{kind}.start", "status": refusal.status, "headers": raw})
        await self({"type": f"{kind}.body", "body": body})


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, which is small; a larger one is read no further than politeness asks."""
    promised = Headers(scope=scope).get("content-length", "0")
    size, pieces, ended = 0, [], False
    try:
        async with asyncio.timeout(BODY_S):
            while not ended and size <= DRAINED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                piece = message.get("body", b"")
                size += len(piece)
                if size <= BODY_BYTES:
                    pieces.append(piece)
                ended = not message.get("more_body", False)
    except TimeoutError:
        raise Refusal(408, f"the body took longer than {BODY_S:g} s") from None
    if size > BODY_BYTES or (promised.isdecimal() and len(promised) < 20 and int(promised) > BODY_BYTES):
        raise Refusal(413, f"a body of more than {BODY_BYTES} bytes")
    return b"".join(pieces)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` as if the body had not been read."""
    first: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay
