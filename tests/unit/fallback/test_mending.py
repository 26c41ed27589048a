"""Mending: chunks are replaced one by one, each proven first, whatever comes before, between and after them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallback.chunks import Chunk
from fallback.errors import DigestError
from fallback.ledger import Response
from fallback.manifest import File
from fallback.mending import Mending
from fallback.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(100))
SIZE = 10
CHUNKS = tuple(
    Chunk(at, at + SIZE, hashlib.sha256(DATA[at : at + SIZE]).digest()) for at in range(0, 100, SIZE)
)
FILE = File("a.bin", len(DATA), hashlib.sha256(DATA).hexdigest())


def never() -> bool:
    return False


def spoiled(folder: Path, *wrong: int) -> Partial:
    data = bytearray(DATA)
    for number in wrong:
        data[number * SIZE] ^= 1
    partial = Partial.fresh(folder / "a.bin", FILE)
    partial.begin(Response(0, "ipfs", "first"))
    partial.write(bytes(data))
    return partial


@pytest.fixture(name="partial")
def _partial(tmp_path: Path) -> Iterator[Partial]:
    partial = spoiled(tmp_path, 2, 3, 7)
    yield partial
    partial.close()


def mending(partial: Partial) -> Mending:
    return Mending(partial, partial.wrong(CHUNKS, never))


def test_only_what_is_wrong_is_found(partial: Partial) -> None:
    assert [chunk.start for chunk in partial.wrong(CHUNKS, never)] == [20, 30, 70]
    made = mending(partial)
    assert (made.size, made.stretch, made.is_done) == (70, (20, 40), False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(start=st.sampled_from([0, 5, 20]), step=st.integers(1, 101))
def test_in_whatever_pieces_it_comes(tmp_path: Path, start: int, step: int) -> None:
    """From the file's first byte, too, as from a server that ignores Range; the rest of it is passed over."""
    partial = spoiled(tmp_path, 2, 3, 7)
    try:
        made = mending(partial)
        assert made.begin(Response(start, "ipfs", "second"), None) == 80 - start
        for at in range(start, 100, step):
            made.write(DATA[at : min(at + step, 100)])
        assert made.is_done
        assert partial.rehash(never)
        partial.proof.finish()
        assert {partial.ledger.writer(*span) for span in ((20, 30), (70, 80))} == {"second"}
        assert partial.ledger.writer(0, 10) == "first"
    finally:
        partial.close()


def test_a_stretch_is_asked_for_at_a_time(partial: Partial) -> None:
    made = mending(partial)
    assert made.begin(Response(20, "ipfs", "second"), 40) == 20
    made.write(DATA[20:40])
    assert (made.stretch, made.size) == ((70, 80), 90)


def test_a_wrong_chunk_is_not_written_and_those_before_it_are(partial: Partial) -> None:
    made = mending(partial)
    made.begin(Response(20, "ipfs", "second"), 40)
    with pytest.raises(DigestError):
        made.write(DATA[20:30] + b"x" * 10)
    assert [chunk.start for chunk in partial.wrong(CHUNKS, never)] == [30, 70]
    made.begin(Response(30, "ipfs", "third"), 40)
    made.write(DATA[30:40])
    assert made.stretch == (70, 80)


def test_what_breaks_off_inside_a_chunk_is_forgotten(partial: Partial) -> None:
    made = mending(partial)
    made.begin(Response(20, "ipfs", "second"), 40)
    made.write(DATA[20:35])
    assert made.stretch == (30, 40)
    made.begin(Response(30, "ipfs", "third"), 40)
    made.write(DATA[30:40])
    assert made.stretch == (70, 80)


def test_a_chunk_that_several_wrote_is_nobodys(tmp_path: Path) -> None:
    partial = Partial.fresh(tmp_path / "a.bin", FILE)
    partial.begin(Response(0, "ipfs", "one"))
    partial.write(DATA[:25])
    partial.begin(Response(25, "ipfs", "two"))
    partial.write(DATA[25:50])
    partial.begin(Response(50, "ipfs", "two"))
    partial.write(DATA[50:])
    writers = [partial.ledger.writer(at, at + 10) for at in range(0, 100, 10)]
    assert writers == ["one", "one", None, "two", "two", "two", "two", "two", "two", "two"]
    assert partial.ledger.writer(45, 55) is None  # one source, and maybe two versions of its file
    partial.close()
