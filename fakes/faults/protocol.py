"""Faults of the protocol: what comes back is not HTTP, not yet an answer, more than one, or of another version."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.faults.base import Fault, not_negative

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve

_INFORMATIONAL = {
    100: b"HTTP/1.1 100 Continue\r\n\r\n",
    103: b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n",
}


@dataclass(frozen=True)
class Garbage(Fault, name="garbage", numbers=(50, 84), group="protocol"):
    """Instead of an answer come bytes that are no HTTP, then the connection is closed (RANDOM_DATA_THEN_CLOSE)."""

    text: str = "lskdu018973t09sylgasjkfg1][]'./.sdlv\r\n\r\n"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The text where the status line should be."""
        head = self.text.encode()
        return dataclasses.replace(serve(request), head=head, body=(), after=(steps.Close(),))


@dataclass(frozen=True)
class EarlyHints(Fault, name="early-hints", numbers=(29,), group="status"):
    """`count` times 103 Early Hints (RFC 8297) and then the good answer, which is no fault: a client must skip them."""

    count: int = 1

    def __post_init__(self) -> None:
        not_negative(self, "count", most=1_000_000)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Hints before the head."""
        answer = serve(request)
        return dataclasses.replace(
            answer, before=steps.chain(answer.before, (_INFORMATIONAL[103],) * self.count)
        )


@dataclass(frozen=True)
class InformationalFlood(Fault, name="informational-flood", numbers=(29,), group="status"):
    """100 Continue (or 103) for ever, one every `interval_s`, and never a final answer."""

    status: Literal[100, 103] = 100
    interval_s: float = 0.001

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Each is right in itself, so that no single wait for bytes is ever long."""
        answer = serve(request)
        each: tuple[steps.Step, ...] = (_INFORMATIONAL[self.status], steps.Pause(self.interval_s))
        flood = itertools.cycle(each)
        return dataclasses.replace(answer, before=steps.chain(answer.before, flood))


@dataclass(frozen=True)
class ConnectionClose(Fault, name="connection-close", numbers=(85,), group="protocol"):
    """The right answer in HTTP/1.0, after which the connection is closed; without `length` that alone ends the body."""

    length: bool = True

    def answer(self, request: Request, serve: Serve) -> Answer:
        """As servers did before connections were kept."""
        answer = serve(request).with_headers({"Connection": "close"})
        answer = answer if self.length else answer.until_close()
        return answer.with_head_bent(lambda head: steps.mapped(head, _as_http_1_0))


@dataclass(frozen=True)
class Smuggled(Fault, name="smuggled", numbers=(87,), group="protocol"):
    """The right answer, and behind it at once a second one that nobody asked for, as long and wrong in every byte."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Whoever keeps the connection may take it for the answer to the next request."""
        answer, second = serve(request), serve(request)
        head = second.head_bytes(close=False)
        unasked = steps.chain((head,), steps.inverted(second.body))
        return dataclasses.replace(answer, after=steps.chain(answer.after, unasked))


def _as_http_1_0(head: bytes) -> bytes:
    return head.replace(b"HTTP/1.1 ", b"HTTP/1.0 ", 1)
