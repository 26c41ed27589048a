"""What a fake does on a connection, step by step: bytes to send, and what else there is to do instead of sending.

A body is an iterable of steps, made as it is played. The functions here bend such an iterable and know nothing of HTTP.
None of them looks behind a Hold, Reset, Close or Cut: the one who plays the steps stops there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = (
    512 * 1024
)  # bytes a write: large enough to keep the event loop out of the way, small enough to notice a client that left

INVERTED = bytes(255 - value for value in range(256))
"""Every bit of every byte, for `bytes.translate`."""


@dataclass(frozen=True)
class Pause:
    """Send nothing for so many seconds, then go on."""

    seconds: float


@dataclass(frozen=True)
class Hold:
    """Send nothing more, and leave the connection open until the client goes away."""


@dataclass(frozen=True)
class Reset:
    """End the connection with a RST, after everything sent before it has arrived."""


@dataclass(frozen=True)
class Close:
    """End the connection with a FIN; over TLS, after a goodbye."""


@dataclass(frozen=True)
class Cut:
    """End the connection with a FIN and, over TLS, no goodbye (close_notify)."""


@dataclass(frozen=True)
class Trailer:
    """A header field behind the last chunk (RFC 9112 section 7.1.2); nothing in a body that is not chunked."""

    name: str
    value: str


Data = bytes | memoryview
Step = Data | Pause | Hold | Reset | Close | Cut | Trailer
Steps = Iterable[Step]


def pieces(view: memoryview) -> Iterator[Step]:
    """The bytes of a view, a piece at a time, without copying."""
    for start in range(0, len(view), PIECE):
        yield view[start : start + PIECE]


def at(steps: Steps, offset: int, *what: Step) -> Iterator[Step]:
    """The same steps, with `what` put in after `offset` bytes; nothing changes when there are fewer bytes."""
    left: int | None = offset
    for step in steps:
        if left is None or not isinstance(step, bytes | memoryview) or len(step) < left:
            if left is not None and isinstance(step, bytes | memoryview):
                left -= len(step)
            yield step
            continue
        if left:
            yield step[:left]
        yield from what
        if left < len(step):
            yield step[left:]
        left = None
    if left == 0:
        yield from what


def until(steps: Steps, offset: int) -> Iterator[Step]:
    """The same steps up to `offset` bytes, and nothing more."""
    for step in at(steps, offset, Close()):
        if step == Close():
            return
        yield step


def flipped(steps: Steps, offset: int) -> Iterator[Step]:
    """The same steps with one bit of the byte at `offset` inverted."""
    seen = 0
    for step in steps:
        if isinstance(step, bytes | memoryview):
            if seen <= offset < seen + len(step):
                place = offset - seen
                yield step[:place]
                yield bytes([step[place] ^ 0x01])
                yield step[place + 1 :]
            else:
                yield step
            seen += len(step)
        else:
            yield step


def mapped(steps: Steps, change: Callable[[bytes], bytes]) -> Iterator[Step]:
    """The same steps, each piece of data as `change` makes it."""
    for step in steps:
        yield change(bytes(step)) if isinstance(step, bytes | memoryview) else step


def inverted(steps: Steps) -> Iterator[Step]:
    """The same steps with every bit of every byte inverted: bytes of another file, whatever range was asked for."""
    return mapped(steps, lambda data: data.translate(INVERTED))


def slowly(steps: Steps, rate: float, offset: int = 0, stop: int | None = None) -> Iterator[Step]:
    """The same steps at `rate` bytes a second from `offset` on (and up to `stop`), ten times a second at most."""
    size = max(1, int(rate / 10))
    seen = 0
    for step in steps:
        if not isinstance(step, bytes | memoryview):
            yield step
            continue
        low = min(max(offset - seen, 0), len(step))
        high = len(step) if stop is None else min(max(stop - seen, low), len(step))
        if low:
            yield step[:low]
        for start in range(low, high, size):
            part = step[start : min(start + size, high)]
            yield part
            yield Pause(len(part) / rate)
        if high < len(step):
            yield step[high:]
        seen += len(step)


def bytewise(steps: Steps, interval_s: float) -> Iterator[Step]:
    """The same steps with every byte alone, and a pause after each."""
    for step in steps:
        if not isinstance(step, bytes | memoryview):
            yield step
            continue
        for place in range(len(step)):
            yield step[place : place + 1]
            yield Pause(interval_s)


def chunked(steps: Steps) -> Iterator[Step]:
    """The same steps in the chunked transfer coding (RFC 9112 section 7.1), one chunk for each piece of data."""
    trailers = b""
    for step in steps:
        if isinstance(step, bytes | memoryview):
            if len(step):
                yield b"%x\r\n" % len(step)
                yield step
                yield b"\r\n"
        elif isinstance(step, Trailer):
            trailers += f"{step.name}: {step.value}\r\n".encode("latin-1", "replace")
        else:
            yield step
    yield b"0\r\n" + trailers + b"\r\n"


def chain(*many: Steps) -> Iterator[Step]:
    """One after the other."""
    for steps in many:
        yield from steps


def endless(filler: bytes) -> Iterator[Step]:
    """The filler, for ever."""
    while True:
        yield filler
