"""A stream read as if a server had sent it: its head, its pieces, its errors, and what hangs."""

from __future__ import annotations

import errno
import io
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from fallback.errors import StorageError
from fallback.exchange import Request
from fallback.outcome import Failed, Interrupted, NotHere, Unavailable
from fallback.stream_answer import opened
from fallback.streams import Stream
from fallback.watchdog import WATCHDOG, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.outcome import Outcome

DATA = bytes(range(256)) * 12_000  # 3 MB


def at(start: int) -> tuple[BinaryIO, int]:
    return io.BytesIO(DATA[start:]), len(DATA)


def limits(
    ends_in_s: float | None = None, quiet_s: float = 30, stop: Callable[[], bool] | None = None
) -> Limits:
    return Limits(5, quiet_s, 1, None if ends_in_s is None else time.monotonic() + ends_in_s, stop)


def asked(offset: int = 0, stop: int | None = None) -> Request:
    return Request("file:///shelf", offset=offset, stop=stop)


@pytest.fixture(name="is_remote", params=[False, True], ids=["local", "remote"])
def _is_remote(request: pytest.FixtureRequest) -> Any:
    """Both kinds; afterwards no thread reads, and nothing is under watch."""
    yield request.param
    ends_at = time.monotonic() + 5
    while reading() and time.monotonic() < ends_at:
        time.sleep(0.01)
    assert not reading()
    assert not WATCHDOG._watches


def reading() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "reading a stream"]


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (asked(), 200, DATA),
        (asked(1_000_000), 206, DATA[1_000_000:]),
        (asked(0, 5), 206, DATA[:5]),
        (asked(7, 1 << 21), 206, DATA[7 : 1 << 21]),
        (asked(7, 1 << 40), 206, DATA[7:]),
    ],
)
def test_what_was_asked_for_comes(request_: Request, status: int, body: bytes, *, is_remote: bool) -> None:
    with opened(Stream(at, is_remote), request_, limits()) as answer:
        answer.begin()
        assert answer.head.status == status
        assert answer.head.content_length == len(body)
        assert b"".join(answer.pieces(1 << 40)) == body
        if (part := answer.head.content_range) is not None:
            last = request_.offset + len(body) - 1
            assert (part.start, part.end, part.total) == (request_.offset, last, len(DATA))


@pytest.mark.parametrize("offset", [len(DATA), len(DATA) + 1])
def test_behind_the_end_is_nothing(offset: int, *, is_remote: bool) -> None:
    """It says how long the file is there, as a 416 does."""
    with opened(Stream(at, is_remote), asked(offset), limits()) as answer:
        assert (answer.head.status, answer.head.complete_length) == (416, len(DATA))
        assert not b"".join(answer.pieces(1 << 20))


def test_no_more_is_read_than_is_wanted(*, is_remote: bool) -> None:
    """P3: the promised size and one buffer."""
    stream = io.BytesIO(DATA)
    with opened(Stream(lambda _start: (stream, len(DATA)), is_remote), asked(), limits()) as answer:
        answer.begin()
        assert sum(map(len, answer.pieces(100_000))) == 100_000
        assert stream.tell() <= 100_000
        assert not list(answer.pieces(0))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), NotHere),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), NotHere),
        (PermissionError(errno.EACCES, "Permission denied"), NotHere),
        (OSError(errno.EIO, "Input/output error"), Unavailable),
        (TimeoutError(), Unavailable),
    ],
)
def test_what_cannot_be_opened(error: OSError, outcome: type[Outcome], *, is_remote: bool) -> None:
    """It is the source's failure, never this machine's disk's."""

    def refuse(_start: int) -> tuple[BinaryIO, int]:
        raise error

    with pytest.raises(Failed) as caught:
        opened(Stream(refuse, is_remote), asked(), limits())
    assert isinstance(caught.value.outcome, outcome)


def test_no_more_open_files_is_this_machine_s_failure(*, is_remote: bool) -> None:
    def refuse(_start: int) -> tuple[BinaryIO, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    with pytest.raises(StorageError, match="ulimit"):
        opened(Stream(refuse, is_remote), asked(), limits())


class Breaking(io.BytesIO):
    """Ends with an error once it has given half of it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(DATA[: len(DATA) // 2])
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise self.error
        return data


def test_a_read_that_fails_is_an_interruption(*, is_remote: bool) -> None:
    stream = Stream(lambda _start: (Breaking(OSError(errno.EIO, "Input/output error")), len(DATA)), is_remote)
    came: list[bytes] = []
    with opened(stream, asked(), limits()) as answer, pytest.raises(Failed) as caught:
        came.extend(answer.pieces(len(DATA)))
    assert isinstance(caught.value.outcome, Interrupted)
    assert b"".join(came) == DATA[: len(DATA) // 2]


def test_whatever_another_s_library_raises_is_an_interruption() -> None:
    """And its text, which may hold a secret, is not told."""
    stream = Stream(lambda _start: (Breaking(RuntimeError("token=hunter22")), len(DATA)), is_remote=True)
    with opened(stream, asked(), limits()) as answer, pytest.raises(Failed) as caught:
        list(answer.pieces(len(DATA)))
    assert isinstance(caught.value.outcome, Interrupted)
    assert "hunter22" not in str(caught.value.outcome)


def test_a_stream_that_ends_early_just_ends(*, is_remote: bool) -> None:
    """Whoever reads it compares with what was promised, as for every answer."""
    with opened(Stream(lambda _start: (io.BytesIO(b"abc"), 10), is_remote), asked(), limits()) as answer:
        assert (b"".join(answer.pieces(10)), answer.head.content_length) == (b"abc", 10)


class Hanging(io.BytesIO):
    """Never comes back from a read, until `let_go`."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go, self.was_closed = threading.Event(), threading.Event()

    def close(self) -> None:
        super().close()
        self.was_closed.set()

    def read(self, size: int | None = -1, /) -> bytes:
        self.let_go.wait(20)
        return super().read(size)


@pytest.mark.parametrize(
    ("limits_", "outcome"),
    [
        ({"ends_in_s": 0.2}, Interrupted),
        ({"quiet_s": 0.2}, Interrupted),
        ({"stop": lambda: True}, Interrupted),
    ],
)
def test_a_read_that_hangs_is_abandoned(limits_: Any, outcome: type[Outcome]) -> None:
    """P4: the thread that reads is left alone, and closes the stream once it comes back."""
    hanging, began = Hanging(), time.monotonic()
    with (
        opened(Stream(lambda _start: (hanging, 10), is_remote=True), asked(), limits(**limits_)) as answer,
        pytest.raises(Failed) as caught,
    ):
        answer.begin()
    assert isinstance(caught.value.outcome, outcome)
    assert time.monotonic() - began < 10
    assert not hanging.was_closed.is_set()
    hanging.let_go.set()
    assert hanging.was_closed.wait(10)


def test_an_opening_that_hangs_is_abandoned() -> None:
    hanging = Hanging()

    def open_(_start: int) -> tuple[BinaryIO, int]:
        hanging.read()
        return hanging, 10

    with pytest.raises(Failed) as caught:
        opened(Stream(open_, is_remote=True), asked(), limits(ends_in_s=0.2))
    assert caught.value.outcome == Unavailable("the deadline has passed", timed_out=True)
    hanging.let_go.set()
