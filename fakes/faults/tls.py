"""Faults of TLS: certificates that prove nothing, handshakes that never end, and ends without a goodbye.

They need a world with https. A certificate fault says nothing of a client that looks the other way: what it then gets
is the right file, and the journal has a request that should never have come.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.answer import place
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve
    from fakes.tls import Handshake


@dataclass(frozen=True)
class SelfSigned(Fault, name="self-signed", numbers=(9,), group="tls", level="handshake"):
    """The certificate is signed by itself, or by a CA that nobody has heard of (`kind`)."""

    kind: Literal["self-signed", "unknown-ca"] = "self-signed"

    def handshake(self, handshake: Handshake) -> Handshake:
        """Show it."""
        return dataclasses.replace(handshake, shown=self.kind)


@dataclass(frozen=True)
class WrongHost(Fault, name="wrong-host", numbers=(10,), group="tls", level="handshake"):
    """The certificate is other.example's; or that, with our name as its common name (RFC 9525: not to be believed)."""

    kind: Literal["wrong-host", "only-common-name"] = "wrong-host"

    def handshake(self, handshake: Handshake) -> Handshake:
        """Show it."""
        return dataclasses.replace(handshake, shown=self.kind)


@dataclass(frozen=True)
class Expired(Fault, name="expired", numbers=(11,), group="tls", level="handshake"):
    """The certificate was good until yesterday, or is good from tomorrow (`kind`)."""

    kind: Literal["expired", "not-yet"] = "expired"

    def handshake(self, handshake: Handshake) -> Handshake:
        """Show it."""
        return dataclasses.replace(handshake, shown=self.kind)


@dataclass(frozen=True)
class HandshakeStall(Fault, name="handshake-stall", numbers=(13,), group="tls", level="handshake"):
    """The server's side of the handshake stops at an offset or fraction of its bytes; the connection stays open."""

    offset: int | None = 0
    fraction: float = 0.5

    def handshake(self, handshake: Handshake) -> Handshake:
        """Fall silent; offset 0 is no ServerHello, -1 all but the last byte."""
        return dataclasses.replace(handshake, bend=self._stalled)

    def _stalled(self, flight: steps.Steps) -> steps.Steps:
        sent = list(flight)
        length = sum(len(step) for step in sent if isinstance(step, steps.Data))
        return steps.at(sent, place(length, self.offset, self.fraction), steps.Hold())


@dataclass(frozen=True)
class HandshakeDrip(Fault, name="handshake-drip", numbers=(13,), group="tls", level="handshake"):
    """The server's side of the handshake comes a byte at a time, one every `interval_s`."""

    interval_s: float = 0.1

    def __post_init__(self) -> None:
        if self.interval_s <= 0:
            raise ValueError("fault 'handshake-drip': interval_s is more than 0")

    def handshake(self, handshake: Handshake) -> Handshake:
        """Never silent for longer than that, and no connection for minutes."""
        return dataclasses.replace(
            handshake, bend=lambda flight: steps.bytewise(flight, interval_s=self.interval_s)
        )


@dataclass(frozen=True)
class TlsEof(Fault, name="tls-eof", numbers=(12,), group="tls"):
    """The connection ends inside the body with a FIN and no close_notify; `framing` "close" has no length either."""

    offset: int | None = None
    fraction: float = 0.5
    framing: Literal["length", "close"] = "length"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Anybody on the way can do that: only the missing goodbye tells it from an end (RFC 8446 section 6.1)."""
        answer = serve(request)
        answer = answer.until_close() if self.framing == "close" else answer
        place = answer.place(self.offset, self.fraction)
        return answer.with_body(steps.at(answer.body, place, steps.Cut()))
