from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fakes import steps
from fakes.steps import Close, Data, Pause

if TYPE_CHECKING:
    from fakes.steps import Step

DATA = st.lists(st.binary(max_size=20), max_size=6)


def joined(made: steps.Steps) -> bytes:
    return b"".join(bytes(step) for step in made if isinstance(step, Data))


@given(DATA, st.integers(0, 130))
def test_at_puts_its_steps_exactly_there_and_loses_nothing(data: list[bytes], offset: int) -> None:
    made = list(steps.at(data, offset, Close()))
    assert joined(made) == b"".join(data)
    total = len(b"".join(data))
    assert made.count(Close()) == (1 if offset <= total else 0)
    if offset <= total:
        assert len(joined(made[: made.index(Close())])) == offset


@given(DATA, st.integers(0, 130))
def test_until_is_the_beginning(data: list[bytes], offset: int) -> None:
    assert joined(steps.until(data, offset)) == b"".join(data)[:offset]


@given(DATA, st.integers(0, 130))
def test_flipped_changes_one_byte(data: list[bytes], offset: int) -> None:
    before, after = b"".join(data), joined(steps.flipped(data, offset))
    assert len(before) == len(after)
    wrong = [index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert wrong == ([offset] if offset < len(before) else [])


@given(DATA)
def test_inverted_changes_every_byte(data: list[bytes]) -> None:
    before, after = b"".join(data), joined(steps.inverted(data))
    assert all(x ^ y == 255 for x, y in zip(before, after, strict=True))


@given(DATA, st.sampled_from([0.5, 3, 25, 1000]), st.integers(0, 50))
def test_slowly_takes_the_time_that_the_rate_says(data: list[bytes], rate: float, offset: int) -> None:
    made = list(steps.slowly(data, rate, offset))
    assert joined(made) == b"".join(data)
    seconds = sum(step.seconds for step in made if isinstance(step, Pause))
    slow = max(0, len(b"".join(data)) - offset)
    assert abs(seconds - slow / rate) < 1e-6


@given(DATA)
def test_bytewise_pauses_after_every_byte(data: list[bytes]) -> None:
    made = list(steps.bytewise(data, 2))
    assert joined(made) == b"".join(data)
    assert made[1::2] == [Pause(2)] * len(b"".join(data))


def test_pieces_are_views_of_a_bounded_size() -> None:
    data = bytes(steps.PIECE * 2 + 1)
    made = list(steps.pieces(memoryview(data)))
    assert [len(step) for step in made if isinstance(step, Data)] == [steps.PIECE, steps.PIECE, 1]


def test_other_steps_pass_through_everything() -> None:
    """Faults compose: what one put in, the next leaves in."""
    pause = Pause(1)
    before: list[Step] = [b"abc", pause, b"def"]
    for made in (
        steps.at(before, 5, Close()),
        steps.flipped(before, 1),
        steps.inverted(before),
        steps.slowly(before, 10),
        steps.chunked(before),
        steps.bytewise(before, 2),
        steps.mapped(before, bytes.upper),
    ):
        assert pause in list(made)


def test_chunked_frames_each_piece_and_ends() -> None:
    assert joined(steps.chunked([b"abc", b"", b"0123456789"])) == b"3\r\nabc\r\na\r\n0123456789\r\n0\r\n\r\n"


def test_endless_and_chain() -> None:
    made = steps.chain([b"a"], steps.endless(b"b"))
    assert list(itertools.islice(made, 4)) == [b"a", b"b", b"b", b"b"]
