"""TLS between a connection and its protocol, with each step of it in our hands: the handshake, and the goodbye.

`Tls` is both a protocol (of the connection below) and a transport (of the protocol above), over OpenSSL's memory BIOs.
asyncio has such a layer; but it hides the connection below, so that nobody could say how many bytes the kernel took,
stop in the middle of a handshake, or leave without a goodbye. Nothing here decides which certificate is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.steps import Data, Hold, Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.certificates import Certificates, Shown
    from fakes.steps import Steps

_PORTION = 1 << 16  # bytes a read; four TLS records


@dataclass(frozen=True)
class Handshake:
    """How one goes: the certificate shown, and the steps that send the server's first flight, if not at once.

    `ended` is told how it went, in the journal's words: "complete", "client-closed", "held", "reset" or "closed".
    """

    shown: Shown = "good"
    bend: Callable[[Steps], Steps] | None = None
    ended: Callable[[str], None] = lambda _how: None


class Tls(asyncio.Transport, asyncio.Protocol):
    """The server's side of one connection; `secured` is called when the handshake is through."""

    def __init__(
        self,
        below: asyncio.Transport,
        above: asyncio.Protocol,
        certificates: Certificates,
        handshake: Handshake,
        secured: Callable[[Tls], None],
    ) -> None:
        super().__init__()
        self._below, self._above, self._handshake, self._secured = below, above, handshake, secured
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = certificates.context(handshake.shown).wrap_bio(self._in, self._out, server_side=True)
        self._flown = False  # the first flight is out, or on its way
        self._through = False
        self._bending: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        below.set_protocol(self)

    # Of the connection below.

    def data_received(self, data: bytes) -> None:
        """More of what the client encrypted, or of its handshake."""
        self._in.write(data)
        try:
            if not self._through:
                self._shake()
            if self._through:
                self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            self._flush()  # the alert that says why
            self._below.close()

    def eof_received(self) -> None:
        """The client left without a goodbye; asyncio closes the connection."""
        self._above.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._gone.set()
        if not self._through:
            self._handshake.ended("client-closed")
        self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        """The kernel is full."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """The kernel takes more."""
        self._above.resume_writing()

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            if self._handshake.bend is not None and not self._flown and self._out.pending:
                self._flown = True
                self._bending = asyncio.get_running_loop().create_task(
                    self._bent(self._handshake.bend([self._out.read()]))
                )
            raise
        self._flush()
        self._through = True
        self._handshake.ended("complete")
        self._secured(self)

    async def _bent(self, steps: Steps) -> None:
        for step in steps:
            match step:
                case Pause(seconds):
                    await self._wait(seconds)
                case Hold():
                    self._handshake.ended("held")
                    await self._wait(None)
                case _:
                    assert isinstance(step, Data), "a handshake pauses, holds and sends, and nothing else"
                    self._below.write(step)
            if self._gone.is_set():
                return

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()

    def _read(self) -> None:
        while not self._below.is_closing():
            data = self._ssl.read(_PORTION)
            if not data:  # the client's goodbye
                self.close()
                return
            self._above.data_received(data)

    def _flush(self) -> None:
        if self._out.pending:
            self._below.write(self._out.read())

    # For the protocol above.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Encrypt and send; how much of it the kernel took, `get_write_buffer_size` tells."""
        view = memoryview(data)
        while view and not self._below.is_closing():
            view = view[self._ssl.write(view) :]  # OpenSSL takes a record at a time
        self._flush()

    def close(self) -> None:
        """Say goodbye (close_notify, RFC 8446 section 6.1) and close."""
        if self._below.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):  # it wants the client's goodbye, for which no server waits
            self._ssl.unwrap()
        self._flush()
        self._below.close()

    def abort(self) -> None:
        """Close at once, without a goodbye."""
        self._below.abort()

    def is_closing(self) -> bool:
        """Whether the connection below is closing."""
        return self._below.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the connection below knows."""
        return self._below.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that the kernel has not taken yet."""
        return self._below.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._below.resume_reading()
