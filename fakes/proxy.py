"""A TCP proxy in front of one server, in which the network's faults strike; it knows nothing of what goes through it.

Each connection is two streams, "upstream" to the server and "downstream" to the client; a fault makes of what comes in
on one of them what goes out, and several are passed one after the other. Which faults there are, `fakes.faults.network`
says; whom they strike, whoever makes a `Proxy`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from fakes.faults import Fault

_CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Chunk:
    """Some bytes, and when they came in, by the loop's clock."""

    data: bytes
    at: float

    def parts(self, cuts: Iterable[int]) -> Iterator[Chunk]:
        """The chunk in pieces, cut at these places, in order; places behind its end cut nothing."""
        for start, end in itertools.pairwise(
            (0, *(cut for cut in cuts if cut < len(self.data)), len(self.data))
        ):
            yield Chunk(self.data[start:end], self.at)


Stream = AsyncIterator[Chunk]


@dataclass(frozen=True)
class Passage:
    """What the network does to one connection; `ended` is told how it went, in the journal's words."""

    faults: Sequence[Fault] = ()
    ended: Callable[[str], None] = lambda _how: None


class Line:
    """One connection, as a fault may use it: its clock, its time to wait, and its end."""

    def __init__(self, writer: asyncio.StreamWriter, ended: Callable[[str], None]) -> None:
        self._writer, self._ended = writer, ended
        self.over = False

    def now(self) -> float:
        """The loop's clock, in seconds; a chunk's `at` is on it."""
        return asyncio.get_running_loop().time()

    async def wait(self, seconds: float | None) -> None:
        """Let time pass (None: until the connection is given up); a time that is past needs none."""
        if seconds is None:
            await asyncio.get_running_loop().create_future()
        elif seconds > 0:
            await asyncio.sleep(seconds)

    def ended(self, how: str) -> None:
        """Say how the connection ends; the first word counts."""
        if not self.over:
            self.over = True
            self._ended(how)

    def reset(self) -> None:
        """A RST to the client: a close with a linger time of zero (socket(7), SO_LINGER)."""
        self.ended("reset")
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):  # already closed by the other side
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@dataclass
class Proxy:
    """Carries connections to `port` of `host`; `passage` is asked, with the client's address:port, for each."""

    host: str
    port: int
    passage: Callable[[str], Passage]
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def protocol(self) -> asyncio.BaseProtocol:
        """For a listening port: what becomes of a new connection."""
        reader = asyncio.StreamReader(limit=_CHUNK)
        return asyncio.StreamReaderProtocol(reader, self._accepted)

    async def end(self) -> None:
        """Give up every connection."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, port, *_ = writer.get_extra_info("peername") or ("", 0)
        passage = self.passage(f"{client}:{port}")
        line = Line(writer, passage.ended)
        try:
            to_reader, to_writer = await asyncio.open_connection(self.host, self.port, limit=_CHUNK)
            try:
                await _first(
                    _pass(reader, to_writer, _of(passage, "upstream"), line),
                    _pass(to_reader, writer, _of(passage, "downstream"), line),
                )
            finally:
                to_writer.transport.abort()
        except OSError:  # whoever of the two has left, the other is told in the same way
            line.reset()
        finally:
            line.ended("complete")
            writer.close()


async def _first(*streams: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends: a client that stops sending has left, as for the servers behind."""
    tasks = [asyncio.create_task(stream) for stream in streams]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Iterable[Fault], line: Line
) -> None:
    stream = _chunks(reader)
    for fault in faults:
        stream = fault.pipe(stream, line)
    async for chunk in stream:
        writer.write(chunk.data)
        await writer.drain()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[Chunk]:
    while data := await reader.read(_CHUNK):
        yield Chunk(data, asyncio.get_running_loop().time())


def _of(passage: Passage, stream: str) -> list[Fault]:
    return [fault for fault in passage.faults if getattr(fault, "stream", None) == stream]
