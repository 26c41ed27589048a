"""A store is asked seldom, and holds little: how a file is read where each read is a request."""

from __future__ import annotations

import io
import itertools
import time
import tracemalloc
import uuid
from typing import Any, cast

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from fallback.stores import FIRST_BYTES, MOST_BYTES, Blocks, stored

SIZE = 200_000_000
PIECE = 1 << 20


class Counted(io.RawIOBase):
    """A file of zeros that is nowhere; `reads` are the bytes of each request."""

    size = SIZE

    def __init__(self, reads: list[int], rate: float | None = None, clock: list[float] | None = None) -> None:
        self._at, self._reads, self._rate, self._clock = 0, reads, rate, clock or [0.0]

    def seek(self, offset: int, whence: int = 0, /) -> int:
        assert whence == 0
        self._at = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        data = bytes(min(size, SIZE - self._at))
        self._at += len(data)
        self._reads.append(len(data))
        if self._rate is not None:
            self._clock[0] += len(data) / self._rate
        return data


def test_a_large_file_takes_few_requests_and_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As fsspec opens it, read in the pieces that a download asks for."""
    reads: list[int] = []

    def opened(_fs: Any, _path: str, mode: str, **_options: Any) -> Any:
        assert mode == "rb"
        return Counted(reads)

    monkeypatch.setattr(MemoryFileSystem, "open", opened)
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_: {"size": SIZE})
    stream, total = stored(f"memory://{uuid.uuid4()}").open(5)
    tracemalloc.start()
    try:
        came = 5
        while piece := stream.read(PIECE):
            came += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        stream.close()
    assert (total, came) == (SIZE, SIZE)
    assert len([each for each in reads if each]) <= SIZE / MOST_BYTES + 8
    assert peak <= 8 << 20


DATA = bytes(range(256)) * 50_000


@pytest.mark.parametrize(("start", "size"), [(0, 1 << 20), (77, 999), (len(DATA), 10)])
def test_what_is_read_is_what_is_there(start: int, size: int) -> None:
    """Whatever is asked for at a time."""
    fs, path = fsspec.core.url_to_fs(f"memory://{uuid.uuid4()}/x")
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe(path, DATA)
    stream, total = stored(f"memory://{path}").open(start)
    assert total == len(DATA)
    assert b"".join(iter(lambda: stream.read(size), b"")) == DATA[start:]


@pytest.mark.parametrize(("rate", "block"), [(1_000, FIRST_BYTES), (1_000_000, 500_000), (1e9, MOST_BYTES)])
def test_a_block_takes_half_a_second(monkeypatch: pytest.MonkeyPatch, rate: float, block: int) -> None:
    """So that a slow line that moves is never taken for one that stands still."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    reads: list[int] = []
    stream = Blocks(cast("Any", Counted(reads, rate, clock)))
    while len(reads) < 12:
        stream.read(PIECE)
    assert reads[0] == FIRST_BYTES
    assert reads[-1] == pytest.approx(block, rel=0.01)
    assert all(after <= 4 * before for before, after in itertools.pairwise(reads))
