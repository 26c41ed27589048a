"""Faults of the network between: toxiproxy's toxics, by its names, its fields and its units.

Times are in milliseconds (slicer's in microseconds), rates in kilobytes a second. Of toxiproxy's other words `toxicity`
is a rule's probability, and `down` is the fault "refused". Each is one generator, from what comes in on a connection to
what goes out of it; `fakes.proxy` has the connections.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes.faults.base import Fault, not_negative
from fakes.proxy import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fakes.proxy import Line, Stream

Direction = Literal["downstream", "upstream"]
_AHEAD = 256  # chunks on their way at once while each is delayed: 16 MiB
_INTERVAL_S = 0.1  # a slow stream moves that often
_LINES: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, float]] = weakref.WeakKeyDictionary()
"""Until when each line is taken, by its loop's clock."""


@dataclass(frozen=True)
class Latency(Fault, name="latency", numbers=(60,), group="network", level="network"):
    """Everything comes `latency` ± `jitter` ms late, and no slower."""

    latency: float = 1000
    jitter: float = 0
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "latency", "jitter")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """Let others follow while one is under way."""
        under_way: asyncio.Queue[Chunk | OSError | None] = asyncio.Queue(_AHEAD)

        async def read() -> None:
            try:
                async for chunk in stream:
                    await under_way.put(chunk)
            except OSError as error:
                await under_way.put(error)
            else:
                await under_way.put(None)

        reading = asyncio.create_task(read())
        try:
            while (chunk := await under_way.get()) is not None:
                if isinstance(chunk, OSError):
                    raise chunk
                late = self.latency + random.uniform(-self.jitter, self.jitter)
                await line.wait(chunk.at + late / 1000 - line.now())
                yield chunk
        finally:
            reading.cancel()


@dataclass(frozen=True)
class Bandwidth(Fault, name="bandwidth", numbers=(57,), group="network", level="network"):
    """No more than `rate` kilobytes a second get through: each connection, or all together whose faults name one `line`.

    `line` is not toxiproxy's: a house has one line to the outside, whoever is asked behind it.
    """

    rate: float = 100
    stream: Direction = "downstream"
    line: str = ""

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError("fault 'bandwidth': rate is more than 0")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """In portions of a tenth of a second; a pause that was too long is made up for."""
        portion = max(1, int(self.rate * 1000 * _INTERVAL_S))
        lines = _LINES.setdefault(asyncio.get_running_loop(), {}) if self.line else {}
        lines.setdefault(self.line, line.now())
        async for chunk in stream:
            for part in chunk.parts(range(portion, len(chunk.data), portion)):
                # Whoever comes later over the same line is behind this one.
                due = max(lines[self.line], chunk.at) + len(part.data) / (self.rate * 1000)
                lines[self.line] = due
                await line.wait(due - line.now())
                yield part


@dataclass(frozen=True)
class SlowClose(Fault, name="slow_close", numbers=(59,), group="network", level="network"):
    """The connection stays open `delay` ms longer than its server meant it to."""

    delay: float = 1000
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "delay")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """Everything but the end is on time."""
        async for chunk in stream:
            yield chunk
        await line.wait(self.delay / 1000)


@dataclass(frozen=True)
class Timeout(Fault, name="timeout", numbers=(7,), group="network", level="network"):
    """Nothing gets through; after `timeout` ms the connection is closed, with 0 never."""

    timeout: float = 0
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "timeout")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """What comes in is not even read, so its sender soon gets rid of no more."""
        del stream
        line.ended("held" if self.timeout == 0 else "truncated")
        await line.wait(self.timeout / 1000 or None)
        yield Chunk(b"", line.now())


@dataclass(frozen=True)
class ResetPeer(Fault, name="reset_peer", numbers=(6,), group="network", level="network"):
    """A RST, `timeout` ms after the first byte that should have got through."""

    timeout: float = 0
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "timeout")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """Not even that byte gets through."""
        async for _chunk in stream:
            await line.wait(self.timeout / 1000)
            line.reset()
            break
        yield Chunk(b"", line.now())


@dataclass(frozen=True)
class Slicer(Fault, name="slicer", numbers=(56,), group="network", level="network"):
    """Slices of `average_size` ± `size_variation` bytes, one every `delay` µs."""

    average_size: int = 1000
    size_variation: int = 0
    delay: float = 0
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "delay")
        if not 0 <= self.size_variation < self.average_size:
            raise ValueError("fault 'slicer': size_variation is from 0 to less than average_size")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """Each slice is a packet of its own (the connections have TCP_NODELAY)."""
        async for chunk in stream:
            for part in chunk.parts(self._cuts(len(chunk.data))):
                yield part
                await line.wait(self.delay / 1_000_000)

    def _cuts(self, length: int) -> Iterator[int]:
        place = 0
        while True:
            place += self.average_size + random.randint(-self.size_variation, self.size_variation)
            if place >= length:
                return
            yield place


@dataclass(frozen=True)
class LimitData(Fault, name="limit_data", numbers=(46,), group="network", level="network"):
    """The connection is closed when `bytes` have got through, heads and all."""

    bytes: int = 1_000_000
    stream: Direction = "downstream"

    def __post_init__(self) -> None:
        not_negative(self, "bytes")

    async def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """All connections of a client have a limit each."""
        left = self.bytes
        async for chunk in stream:
            first, *_ = chunk.parts([left])
            left -= len(first.data)
            yield first
            if left <= 0:
                line.ended("truncated")
                return
