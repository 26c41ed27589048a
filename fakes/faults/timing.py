"""Faults of time: answers that do not begin, do not go on, or never get anywhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.answer import place
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class Hang(Fault, name="hang", numbers=(7, 60), group="timing"):
    """The request is read, and nothing comes: for ever, or for `seconds` before a good answer."""

    seconds: float | None = None

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Wait before the head."""
        answer = serve(request)
        return dataclasses.replace(answer, before=steps.chain(answer.before, (_silence(self.seconds),)))


@dataclass(frozen=True)
class Stall(Fault, name="stall", numbers=(55, 58), group="timing"):
    """The body stops at an offset or fraction, the connection stays open: for ever, or for `seconds`."""

    offset: int | None = None
    fraction: float = 0.5
    seconds: float | None = None

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Fall silent inside the body; offset 0 is right after the headers, -1 before the last byte."""
        answer = serve(request)
        place = answer.place(self.offset, self.fraction)
        return answer.with_body(steps.at(answer.body, place, _silence(self.seconds)))


@dataclass(frozen=True)
class Dribble(Fault, name="dribble", numbers=(56, 57, 108), group="timing"):
    """The body comes at `bytes_per_s` from an offset on, for as long as that takes."""

    bytes_per_s: float = 1.0
    offset: int = 0

    def __post_init__(self) -> None:
        if self.bytes_per_s <= 0:
            raise ValueError("fault 'dribble': bytes_per_s is more than 0; for silence there is 'stall'")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Slice the body and pause after each slice."""
        answer = serve(request)
        return answer.with_body(steps.slowly(answer.body, self.bytes_per_s, answer.place(self.offset, 0)))


@dataclass(frozen=True)
class SlowSegment(Fault, name="slow-segment", numbers=(61,), group="timing"):
    """One of `of` equal parts of the file (`number`, from 1) comes at `bytes_per_s`, the others at full speed."""

    number: int = 4
    of: int = 8
    bytes_per_s: float = 50.0

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of or self.bytes_per_s <= 0:
            raise ValueError("fault 'slow-segment': number is 1 to of, and bytes_per_s more than 0")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The part is one of the file, so a client that asks for ranges meets it in one of them."""
        answer = serve(request)
        if answer.total is None:
            return answer
        edges = (answer.total * (self.number - 1) // self.of, answer.total * self.number // self.of)
        start, stop = (max(0, edge - answer.first) for edge in edges)
        return answer.with_body(steps.slowly(answer.body, self.bytes_per_s, start, stop))


@dataclass(frozen=True)
class HeaderStall(Fault, name="header-stall", numbers=(36, 55), group="timing"):
    """The head stops at an offset or fraction of its bytes, the connection stays open: for ever, or for `seconds`."""

    offset: int | None = None
    fraction: float = 0.5
    seconds: float | None = None

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Fall silent inside the head."""
        return serve(request).with_head_bent(self._stalled)

    def _stalled(self, head: steps.Steps) -> steps.Steps:
        sent = list(head)
        length = sum(len(step) for step in sent if isinstance(step, steps.Data))
        return steps.at(sent, place(length, self.offset, self.fraction), _silence(self.seconds))


@dataclass(frozen=True)
class HeaderDrip(Fault, name="header-drip", numbers=(36,), group="timing"):
    """The head comes a byte at a time, one every `interval_s`; the body, should it come to that, at full speed."""

    interval_s: float = 1.0

    def __post_init__(self) -> None:
        if self.interval_s <= 0:
            raise ValueError("fault 'header-drip': interval_s is more than 0")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Never silent for longer than that, and no header line for a long while."""
        return serve(request).with_head_bent(lambda head: steps.bytewise(head, self.interval_s))


def _silence(seconds: float | None) -> steps.Step:
    return steps.Hold() if seconds is None else steps.Pause(seconds)
