"""What is here of a file, and who is to blame: without a request, by bytes that are given to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fallback import Settings
from fallback.chunks import with_proofs
from fallback.errors import DigestError, VerificationError
from fallback.events import Blamed
from fallback.holding import Holding
from fallback.ledger import Response
from fallback.manifest import CHUNK_BYTES, File, Model
from fallback.outcome import Corrupt, Delivered, Failed, Interrupted, PartDelivered, Spliced
from fallback.run import running
from fallback.sources import in_order
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.events import Event
    from fallback.outcome import Outcome
    from fallback.run import Run
    from fallback.sources import Source

GOOD = b"".join(bytes([number]) * CHUNK_BYTES for number in range(3)) + b"end"
BAD = GOOD[: 2 * CHUNK_BYTES] + b"x" + GOOD[2 * CHUNK_BYTES + 1 :]
FILE = with_proofs(
    File("a", None, None), (GOOD[at : at + CHUNK_BYTES] for at in range(0, len(GOOD), CHUNK_BYTES))
)


class Given:
    """A file's holding, sources that give it bytes, and what was told."""

    def __init__(self, run: Run, file: File, told: list[Event]) -> None:
        self.wanted = Wanted(Model("m", "stt", "m", (file,)), file)
        self.run, self.told = run, told
        partial = run.cache.partial(self.wanted, reserve_bytes=0, over=run.over)
        self.holding = Holding(self.wanted, run, partial)
        self.a, self.b, *_ = run.sources

    def gives(self, source: Source, data: bytes, start: int = 0, stop: int | None = None) -> Outcome:
        """`source` gives the bytes `start` to `stop` of `data`, and its body ends."""
        holding = self.holding
        limit = holding.begin(Response(start, source.layer, source.name), stop)
        try:
            holding.into.write(data[start:stop][:limit])
            return holding.concluded()
        except VerificationError as error:
            return holding.with_gain(holding.disproved(source, error))

    def breaks_off(self, source: Source, data: bytes, start: int, stop: int) -> Outcome:
        """It gives less than it was asked for."""
        self.holding.begin(Response(start, source.layer, source.name), None)
        self.holding.into.write(data[start:stop])
        return self.holding.with_gain(Interrupted("cut"))

    @property
    def blamed(self) -> list[tuple[str, bool]]:
        """Whom, and whether for what it had sent earlier."""
        return [(event.source, event.earlier) for event in self.told if isinstance(event, Blamed)]


@pytest.fixture(name="told")
def _told() -> list[Event]:
    return []


@pytest.fixture(name="run")
def _run(tmp_path: Path, told: list[Event]) -> Iterator[Run]:
    settings = Settings(
        models_dir=tmp_path / "models", gateways=("http://127.0.0.1:8", "http://127.0.0.1:9"), reserve_bytes=0
    )
    with running(settings, in_order(settings), told.append, None, types={}) as (run, _):
        yield run


@pytest.fixture(name="given")
def _given(run: Run, told: list[Event]) -> Iterator[Given]:
    given = Given(run, FILE, told)
    yield given
    given.holding.partial.close()


@pytest.fixture(name="bare")
def _bare(run: Run, told: list[Event]) -> Iterator[Given]:
    """Of a file whose chunks nobody knows."""
    given = Given(run, replace(FILE, chunks=(), cid=None), told)
    yield given
    given.holding.partial.close()


def test_a_wrong_chunk_is_named_mended_and_the_file_committed(given: Given) -> None:
    outcome = given.gives(given.a, BAD)
    assert isinstance(outcome, Corrupt)
    assert outcome.mendable
    assert outcome.gained == 0  # it cost its attempt: right bytes that a wrong body had are no progress
    assert given.holding.part(given.b, from_zero=False) == (2 * CHUNK_BYTES, 3 * CHUNK_BYTES)
    assert given.blamed == [(given.a.name, False)]
    assert isinstance(given.gives(given.b, GOOD, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES), Delivered)
    assert given.run.cache.target(given.wanted).read_bytes() == GOOD


def test_of_chunks_apart_each_is_a_part(given: Given) -> None:
    twice = (
        BAD[:CHUNK_BYTES] + BAD[CHUNK_BYTES : 2 * CHUNK_BYTES] + b"y" + BAD[2 * CHUNK_BYTES + 1 : -1] + b"!"
    )
    assert isinstance(given.gives(given.a, twice), Corrupt)
    assert given.holding.part(given.b, from_zero=False) == (2 * CHUNK_BYTES, len(GOOD))
    start, stop = 2 * CHUNK_BYTES, 3 * CHUNK_BYTES
    assert isinstance(given.gives(given.b, GOOD, start, stop), PartDelivered)
    assert given.holding.size == len(GOOD) - 3
    assert isinstance(given.gives(given.b, GOOD, stop), Delivered)


def test_a_run_that_ends_blames_nobody(given: Given) -> None:
    """What was not looked at counts as wrong, and must not be laid at anybody's door."""
    given.run.stop.set()
    with pytest.raises(Failed, match="the run ended"):
        given.gives(given.a, BAD)
    assert given.blamed == []


def test_chunks_that_were_all_right_of_a_file_that_was_not_are_not_believed_again(
    run: Run, told: list[Event]
) -> None:
    """The manifest contradicts itself, and its SHA-256 has the last word."""
    given = Given(run, replace(FILE, sha256="0" * 64), told)
    first = given.gives(given.a, BAD)
    assert isinstance(first, Corrupt)
    assert first.mendable
    outcome = given.gives(given.b, GOOD, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES)
    assert isinstance(outcome, Spliced)
    assert not outcome.mendable
    assert (given.holding.mending, given.holding.size) == (None, 0)
    again = given.gives(given.a, BAD)
    assert isinstance(again, Corrupt)
    assert not again.mendable
    given.holding.partial.close()


@pytest.mark.parametrize("kind", ["given", "bare"])
def test_who_sent_all_of_it_is_blamed_whoever_is_asked_now(kind: str, request: pytest.FixtureRequest) -> None:
    """Of several connections the first that is still at work may be another one's."""
    given: Given = request.getfixturevalue(kind)
    wrong = bytes([GOOD[0] ^ 1]) + GOOD[1:]

    def sent() -> None:
        given.holding.begin(Response(0, given.a.layer, given.a.name), None)
        given.holding.into.write(wrong[: CHUNK_BYTES if kind == "given" else None])
        given.holding.concluded()

    with pytest.raises(VerificationError) as raised:  # after the first chunk, or at the end
        sent()
    outcome = given.holding.disproved(given.b, raised.value)
    assert isinstance(outcome, Spliced)
    assert outcome.others == (given.a.name,)
    assert given.blamed == [(given.a.name, True)]
    assert {name for name, health in given.run.health.items() if health.bans} == {given.a.name}


def test_after_a_splice_the_file_is_of_one_source_and_every_byte_is_progress(bare: Given) -> None:
    """So that the next mismatch has one to blame, and who is cut all the time can still finish."""
    cut = CHUNK_BYTES + 5
    assert bare.breaks_off(bare.a, BAD, 0, cut) == Interrupted("cut", gained=cut)
    assert isinstance(bare.gives(bare.b, BAD, cut), Spliced)
    assert bare.blamed == []
    assert bare.breaks_off(bare.a, BAD, 0, cut) == Interrupted("cut", gained=cut)
    assert bare.holding.part(bare.b, from_zero=False) == (0, None)
    assert bare.holding.part(bare.a, from_zero=False) == (cut, None)
    assert isinstance(bare.gives(bare.a, BAD, cut), Corrupt)


def test_what_was_here_before_is_no_progress_when_it_comes_again(bare: Given) -> None:
    """A source that is cut at the same place each time is not given its attempts back for ever."""
    assert bare.breaks_off(bare.b, GOOD, 0, 2000) == Interrupted("cut", gained=2000)
    assert isinstance(bare.gives(bare.a, BAD), Corrupt)
    assert bare.breaks_off(bare.b, GOOD, 0, 2000) == Interrupted("cut", gained=0)
    assert bare.breaks_off(bare.b, GOOD, 2000, 2500) == Interrupted("cut", gained=500)


def test_blocks_of_another_file_leave_nothing_behind(given: Given) -> None:
    """They prove their CID: the name was wrong. What comes next begins anew, and is progress."""
    assert isinstance(given.gives(given.a, BAD), Corrupt)
    given.holding.not_so_named(DigestError(expected="a", seen="b"))
    assert (given.holding.mending, given.holding.size) == (None, 0)
    assert given.breaks_off(given.b, GOOD, 0, 2000) == Interrupted("cut", gained=2000)
