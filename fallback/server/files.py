"""Files for other machines: `GET` and `HEAD` of `/files/sha256/{sha256}`.

Read piece by piece in threads, so that no disk keeps the server from answering others; so many transfers at a
time, and whoever comes then is told to come again. A client that takes nothing is cut off (`connection`).
Exclusions: what may be given (`share.shelf`, `share.arriving`), which part of it is asked for (`ranges`), and who may ask
(`guard`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.responses import Response

from fallback.server.guard import Refusal
from fallback.server.ranges import Part, asked
from fallback.share.shelf import ChangedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from fallback.share.shelf import Offer

PATH = "/files/sha256/{sha256}"
FOLDER = "/files/"
"""Everything below it is about files."""

PIECE = 256 << 10
READERS = 4
"""Pieces read at a time; a disk that hangs holds no more threads than that."""

RETRY_AFTER_S = 1


class Files:
    """The handler is `answer`; `take` opens a file by its SHA-256, `most` transfers go on at a time.

    `gave` is told how many bytes have gone, piece by piece.
    """

    def __init__(self, take: Callable[[str], Offer | None], most: int, gave: Callable[[int], None]) -> None:
        self._take, self._most, self._gave = take, most, gave
        self._under_way = 0
        self._readers = CapacityLimiter(READERS)

    async def answer(self, request: Request) -> Response:
        """The file, or the part of it that is asked for."""
        sha256 = request.path_params["sha256"]
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise Refusal(404, "a file's name is the SHA-256 of its bytes: 64 hex digits in lower case")
        if self._under_way >= self._most:
            raise Refusal(503, f"{self._most} other transfers", (("retry-after", str(RETRY_AFTER_S)),))
        with contextlib.ExitStack() as kept:
            self._under_way += 1
            kept.callback(self._ended)
            offer = await run_sync(self._take, sha256, limiter=self._readers)
            if offer is None:
                raise Refusal(404, "there is no such file")
            kept.callback(offer.close)
            part = await self._part(request, offer, etag := f'"{sha256}"')
            return _Giving(self, offer, part, etag, kept.pop_all())

    def _ended(self) -> None:
        self._under_way -= 1

    async def _part(self, request: Request, offer: Offer, etag: str) -> Part:
        """What is asked for, as far as it is here."""
        part = asked(request.method, request.headers, offer.size, etag)
        if part.status == 416:
            raise Refusal(416, "no byte of it is asked for", (("content-range", f"bytes */{offer.size}"),))
        if part.status == 412:
            raise Refusal(412, "it has another entity tag")
        if part.status == 304:
            return part
        reach = await run_sync(offer.reach, part.start, part.stop, limiter=self._readers)
        if reach < part.stop and (part.status == 200 or reach == part.start):
            raise Refusal(404, "that part of the file is not here yet")
        return Part(part.status, part.start, reach)

    async def pieces(self, offer: Offer, part: Part, send: Send, gone: asyncio.Task[None]) -> None:
        """Send the body; it ends early if nobody takes it."""
        at = part.start
        while at < part.stop and not gone.done():
            read = functools.partial(offer.read, at, min(at + PIECE, part.stop))
            piece = await run_sync(read, limiter=self._readers)
            at += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": at < part.stop})
            self._gave(len(piece))


class _Giving(Response):
    """An answer that is read while it is sent."""

    def __init__(self, files: Files, offer: Offer, part: Part, etag: str, kept: contextlib.ExitStack) -> None:
        self._files, self._offer, self._part, self._kept = files, offer, part, kept
        headers = {
            "etag": etag,
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=31536000, immutable",
        }
        if part.status != 304:
            headers["content-length"] = str(part.stop - part.start)
            headers["content-type"] = "application/octet-stream"
        if part.status == 206:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{offer.size}"
        super().__init__(status_code=part.status)
        self.raw_headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; what cannot be read to its end is cut off, which no client takes for the end."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if scope["method"] == "HEAD" or self._part.start == self._part.stop:
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._files.pieces(self._offer, self._part, send, gone)
        except (ChangedError, OSError):
            pass  # uvicorn closes a connection whose answer is not complete
        finally:
            gone.cancel()
            self._kept.close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
