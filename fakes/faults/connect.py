"""Faults of the connection: before, instead of, and after an answer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.answer import Answer
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Request, Serve


@dataclass(frozen=True)
class Refused(Fault, name="refused", numbers=(1, 88), group="connect", level="server"):
    """The port is closed, and opens again, the same, when the fault goes; open connections are reset at once."""


@dataclass(frozen=True)
class Blackhole(Fault, name="blackhole", numbers=(2,), group="connect", level="server"):
    """No connection request is answered, as behind a firewall that drops them; open connections are reset at once."""


@dataclass(frozen=True)
class AcceptClose(Fault, name="accept-close", numbers=(5,), group="connect", level="accept"):
    """The connection is accepted and closed (FIN) before a request is read."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Close."""
        del request, serve
        return Answer(before=(steps.Close(),))


@dataclass(frozen=True)
class AcceptReset(Fault, name="accept-reset", numbers=(6,), group="connect", level="accept"):
    """The connection is accepted and reset (RST) before a request is read."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Reset."""
        del request, serve
        return Answer(before=(steps.Reset(),))


@dataclass(frozen=True)
class AcceptSilent(Fault, name="accept-silent", numbers=(7,), group="connect", level="accept"):
    """The connection is accepted; nothing is read and nothing is ever sent."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Hold."""
        del request, serve
        return Answer(before=(steps.Hold(),))


@dataclass(frozen=True)
class NoAnswer(Fault, name="no-answer", numbers=(5,), group="connect"):
    """The request is read and the connection closed (FIN) without a byte (WireMock: EMPTY_RESPONSE)."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Close instead of the head."""
        return dataclasses.replace(serve(request), before=(steps.Close(),))


@dataclass(frozen=True)
class ResetRequest(Fault, name="reset-request", numbers=(6,), group="connect"):
    """The request is read and the connection reset (RST) without a byte (WireMock: CONNECTION_RESET_BY_PEER)."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Reset instead of the head."""
        return dataclasses.replace(serve(request), before=(steps.Reset(),))


@dataclass(frozen=True)
class StaleKeepAlive(Fault, name="stale-keepalive", numbers=(8,), group="connect"):
    """The answer is right and promises to keep the connection, which is then closed."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Close after the body."""
        answer = serve(request)
        return dataclasses.replace(answer, after=steps.chain(answer.after, (steps.Close(),)))
