"""An answer happens: its steps are written on the wire, and the journal is told how it went.

`Fake` is the ASGI application of every server: it reads the request, asks the rules which faults are due, lets them wrap
the site, and plays what comes out. Nothing here knows which fault it plays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from fakes.answer import Request
from fakes.proxy import Passage
from fakes.steps import Close, Cut, Hold, Pause, Reset, Trailer
from fakes.tls import Handshake
from fakes.uploads import Body
from fakes.wire import WIRE, Door

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from fakes.answer import Answer, Serve
    from fakes.faults import Fault
    from fakes.journal import Journal, Record
    from fakes.rules import Rules
    from fakes.steps import Steps
    from fakes.wire import Wire


class Fake(Door):
    """One server: a site, the rules that spoil it, and the journal."""

    def __init__(self, name: str, site: Serve, rules: Rules, journal: Journal) -> None:
        self._name, self._site, self._rules, self._journal = name, site, rules, journal

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, by the wire and never by `send`."""
        del send
        wire: Wire = scope["extensions"][WIRE]
        request = _request(self._name, scope, wire)
        faults = self._rules.due(self._name, request.method, request.path)
        record = self._open(request, faults)
        body = await _body(receive, _taken(request, faults))
        if body is None:
            record.ended("client-closed" if wire.gone else "reset")
            await wire.reset()
            return
        request = dataclasses.replace(request, body=body)
        try:
            answer = spoiled(self._site, faults)(request)
        except Exception:  # uvicorn reports it and sends a 500
            record.ended("failed")
            raise
        await play(answer, request, wire, record)

    def accept(self, wire: Wire) -> Coroutine[Any, Any, None] | None:
        """What happens to a connection before its first request, if a fault says that something does."""
        faults = self._rules.due_on("accept", self._name)
        if not faults:
            return None
        request = Request(self._name, method="", path="", client=wire.client)
        record = self._open(request, faults)
        return play(spoiled(self._site, faults)(request), request, wire, record)

    def handshake(self, client: str) -> Handshake:
        """The TLS handshake, as the faults that are due there make it."""
        faults = self._rules.due_on("handshake", self._name)
        if not faults:
            return Handshake()
        handshake = Handshake(ended=self._open_before(client, faults).ended)
        for fault in faults:
            handshake = fault.handshake(handshake)
        return handshake

    def passage(self, client: str) -> Passage:
        """What the faults of the network that are due there do to a connection."""
        faults = self._rules.due_on("network", self._name)
        return Passage(faults, self._open_before(client, faults).ended) if faults else Passage()

    def _open_before(self, client: str, faults: Sequence[Fault]) -> Record:
        """An entry for what happens before a request is read."""
        return self._open(Request(self._name, method="", path="", client=client), faults)

    def _open(self, request: Request, faults: Sequence[Fault]) -> Record:
        return self._journal.open(request, tuple(fault.name for fault in faults))


def spoiled(site: Serve, faults: Sequence[Fault]) -> Serve:
    """The site with these faults around it: the first is nearest to the site, so they apply in order."""
    for fault in faults:
        site = functools.partial(fault.answer, serve=site)
    return site


async def play(answer: Answer, request: Request, wire: Wire, record: Record) -> None:
    """Write the whole answer, or as much of it as its steps and the client allow."""
    keep_alive = wire.keep_alive and (answer.header("connection") or "").lower() != "close"
    ended = await _play(answer.before, wire, record, before=True)
    if not ended:
        ended = await _play_head(answer, answer.head_bytes(close=not keep_alive), wire, record)
    if not ended and request.method != "HEAD":
        ended = await _play(answer.body, wire, record, sent=record.sent)
    if ended:
        record.ended(ended)
        return
    record.ended("complete")
    if not await _play(answer.after, wire, record):
        wire.finish(keep_alive=keep_alive)


async def _play_head(answer: Answer, head: bytes, wire: Wire, record: Record) -> str | None:
    """Send the head, by a bent way if the answer has one; ends as `_play` does."""
    status = answer.status if answer.head is None else None
    if answer.bend_head is None:
        # Known before the client can have seen it, so that whoever got a status finds it in the journal.
        record.status(status)
        return await _play([head], wire, record)
    ended = await _play(answer.bend_head([head]), wire, record)
    if not ended:  # a head that was never whole has no status
        record.status(status)
    return ended


async def _play(
    steps: Steps,
    wire: Wire,
    record: Record,
    *,
    before: bool = False,
    sent: Callable[[int], None] = lambda _count: None,
) -> str | None:
    """Play steps until one of them, or the client, ends the connection; says how, or None to go on."""
    for step in steps:
        match step:
            case Pause(seconds):
                await wire.wait(seconds)
            case Hold():
                record.ended("held")
                await wire.wait()
                wire.finish(keep_alive=False)
                return "held"
            case Reset():
                await wire.reset()
                return "reset"
            case Close():
                wire.finish(keep_alive=False)
                return "closed" if before else "truncated"
            case Cut():
                wire.cut()
                return "truncated"
            case Trailer():
                pass  # only the chunked coding has a place for it
            case _:
                await wire.write(step, sent)
        if wire.gone:
            wire.finish(keep_alive=False)
            return "reset" if wire.dropped else "client-closed"
    return None


def _taken(request: Request, faults: Sequence[Fault]) -> float:
    """How many bytes of the body are taken, at most."""
    length = request.header("content-length")
    told = [fault.takes(int(length) if length else None) for fault in faults]
    return min((count for count in told if count is not None), default=math.inf)


async def _body(receive: Any, most: float) -> bytes | memoryview | None:
    """The request's body; None if it broke off, or is more than is taken of it."""
    with contextlib.closing(Body()) as body:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body.write(message.get("body", b""))
            if body.size > most:
                return None
            more = message.get("more_body", False)
        return body.view()


def _request(name: str, scope: Any, wire: Wire) -> Request:
    return Request(
        server=name,
        method=scope["method"],
        path=scope["path"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers={key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]},
        client=wire.client,
    )
