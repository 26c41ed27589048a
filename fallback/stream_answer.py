"""Reads a `Stream` as if a server had sent it, and the one border where its errors become outcomes.

The head says in HTTP's words which bytes come, so that it is judged as any other. A file of this machine is
read by who wants it; what is remote is read in a thread that is abandoned once the watchdog ends the
exchange: nothing else ends a read that hangs. Exclusions: no byte is judged (`judging`, `verify`), nothing
is asked a second time (`plan`), and no `OSError` of a stream is this machine's disk failing, but for the
limit on open files.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

from fallback.answer import EXCERPT, PIECE, next_size
from fallback.errors import StorageError
from fallback.exchange import Head
from fallback.outcome import Failed, Interrupted, NotHere, Unavailable
from fallback.watchdog import WATCHDOG, killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from fallback.answer import Answer
    from fallback.exchange import Request
    from fallback.outcome import Outcome
    from fallback.streams import Stream
    from fallback.watchdog import Limits, Watch

T = TypeVar("T")

LOOK_S = 0.05
"""How often it is looked whether an exchange was ended that waits for another thread."""

LIMITS = frozenset({errno.EMFILE, errno.ENFILE})


def opened(stream: Stream, request: Request, limits: Limits) -> Answer:
    """The answer to `request` out of `stream`; whatever it does, it ends within `limits`.

    Raises:
        Failed: it cannot be opened; NotHere if it is not there.
        StorageError: this process may open no more files.
    """
    watch = WATCHDOG.watch(limits)
    watch.enter("head")
    reader = _Apart(stream, watch) if stream.is_remote else _Reader(stream)
    try:
        total = reader.open(request.offset)
        _check(watch)
        return _StreamAnswer(_head(request, total), reader, watch)
    except OSError as error:
        _released(reader, watch)
        raise Failed(_refusal(error)) from error
    except BaseException:
        _released(reader, watch)
        raise


def _head(request: Request, total: int) -> Head:
    start, stop = request.offset, total if request.stop is None else min(request.stop, total)
    if not request.is_ranged:
        return Head(200, {"content-length": str(total)}, request.url)
    if start >= total:
        return Head(416, {"content-range": f"bytes */{total}"}, request.url)
    headers = {"content-range": f"bytes {start}-{stop - 1}/{total}", "content-length": str(stop - start)}
    return Head(206, headers, request.url)


def _refusal(error: OSError) -> Outcome:
    """What it means that a stream cannot be opened."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return NotHere(f"not there ({_said(error)})")
    if isinstance(error, PermissionError):
        return NotHere(f"it may not be read ({_said(error)})")
    return Unavailable(f"it cannot be opened ({_said(error)})")


def _said(error: OSError) -> str:
    """The error's kind, and what the system says of it: another's text may hold a secret (P7)."""
    if error.errno in LIMITS:
        raise StorageError(Path("/dev/fd"), f"{error.strerror}: raise `ulimit -n`, or lower jobs") from error
    return error.strerror or type(error).__name__


def _check(watch: Watch) -> None:
    if watch.killed:
        raise Failed(killed(watch))


def _released(reader: _Reader, watch: Watch) -> None:
    reader.close()
    WATCHDOG.release(watch)


class _Reader:
    """One stream, read by whoever asks."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._file: BinaryIO | None = None

    def open(self, start: int) -> int:
        """Open it at byte `start`; how many bytes the whole has."""
        self._file, total = self._stream.open(start)
        return total

    def read(self, size: int) -> bytes:
        """The next bytes, `size` or fewer; none at the end."""
        assert self._file is not None, "it is opened first"
        return self._file.read(size)

    def close(self) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()


class _Apart(_Reader):
    """One stream, read in a thread of its own, one call at a time; `close` waits for none."""

    def __init__(self, stream: Stream, watch: Watch) -> None:
        super().__init__(stream)
        self._watch = watch
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._results: SimpleQueue[object] = SimpleQueue()
        threading.Thread(target=self._run, name="reading a stream", daemon=True).start()

    def open(self, start: int) -> int:
        return self._called(lambda: super(_Apart, self).open(start))

    def read(self, size: int) -> bytes:
        return self._called(lambda: super(_Apart, self).read(size))

    def close(self) -> None:
        self._calls.put(None)

    def _called(self, call: Callable[[], T]) -> T:
        self._calls.put(call)
        while True:
            try:
                result = self._results.get(timeout=LOOK_S)
            except Empty:
                _check(self._watch)
                continue
            if isinstance(result, BaseException):
                raise result
            return result  # type: ignore[return-value]  # one call at a time: it is this one's

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._results.put(call())
            except OSError as error:
                self._results.put(error)
            except Exception as error:  # noqa: BLE001 - a library of somebody else's: it may raise anything
                self._results.put(OSError(type(error).__name__))
        with contextlib.suppress(Exception):  # nobody is there to be told
            super().close()


class _StreamAnswer:
    """An open stream."""

    peer = ""

    def __init__(self, head: Head, reader: _Reader, watch: Watch) -> None:
        self.head = head
        self._reader, self._watch = reader, watch
        self._begun: bytes | None = None

    def begin(self) -> None:
        """As `Answer.begin`."""
        self._begun = next(self._read(self.head.content_length or 0), b"")

    def pieces(self, limit: int, come: int = 0) -> Iterator[bytes]:
        """As `Answer.pieces`."""
        limit = min(limit, self.head.content_length or 0) - come
        begun, self._begun = self._begun or b"", None
        if begun[:limit]:
            yield begun[:limit]
        yield from self._read(limit - len(begun))

    def excerpt(self) -> str:
        """As `Answer.excerpt`."""
        return b"".join(self.pieces(EXCERPT)).decode("utf-8", "replace")

    def close(self) -> None:
        """As `Answer.close`."""
        _released(self._reader, self._watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, left: int) -> Iterator[bytes]:
        watch, rate, last = self._watch, 0.0, PIECE
        watch.enter("body")
        while left > 0:
            began = time.monotonic()
            watch.reading()
            try:
                data = self._reader.read(min(left, next_size(rate, last)))
            except OSError as error:
                raise Failed(Interrupted(f"it cannot be read on ({_said(error)})")) from error
            watch.received(len(data))
            _check(watch)
            if not data:
                return
            left -= len(data)
            last, rate = len(data), len(data) / max(time.monotonic() - began, 1e-6)
            yield data
