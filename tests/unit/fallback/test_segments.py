"""Which range is next, and whose: any number of legs in simulated time, that deliver, dawdle and fail."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from fallback.manifest import CHUNK_BYTES
from fallback.segments import HELD, LATE_S, MOST, SILENT_S, Segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fallback.segments import Take

MB = 1_000_000
MIB = 1 << 20


def got(takes: Iterable[Take[str]]) -> list[tuple[int, int]]:
    """The ranges that have had their turn; each take holds the bytes that it should."""
    found = []
    for take in takes:
        assert sum(map(len, take.data)) == take.segment.size
        found.append((take.segment.start, take.segment.stop))
    return found


def bring(segments: Segments[str], take: Take[str], count: int) -> None:
    segments.arrived(take, bytes(count))


def finish(segments: Segments[str], take: Take[str], now: float) -> list[str]:
    bring(segments, take, take.segment.size - take.size)
    return segments.done(take, now)


def taken(segments: Segments[str], leg: str, now: float = 0.0, legs: int = 4) -> Take[str]:
    take = segments.take(leg, now, legs)
    assert take is not None
    return take


def test_segments_are_what_a_leg_brings_in_a_moment_and_end_where_chunks_do() -> None:
    segments = Segments[str](1_500_000, 500 * MB, rate=4 * MB)
    first, second = taken(segments, "a"), taken(segments, "b")
    assert (first.segment.start, first.segment.stop) == (1_500_000, 4 * MIB)
    assert (second.segment.start, second.segment.stop) == (4 * MIB, 6 * MIB)
    finish(segments, first, 0.1)  # five times as fast as was thought
    assert taken(segments, "a").segment.size == MOST
    finish(segments, second, 100.0)
    assert taken(segments, "b").segment.size == MIB


def test_bytes_have_their_turn_in_order_whoever_is_first() -> None:
    segments = Segments[str](0, 9 * MIB, rate=5 * MB)
    takes = [taken(segments, leg, legs=1) for leg in "abc"]
    finish(segments, takes[2], 0.3)
    finish(segments, takes[1], 0.4)
    assert not segments.is_ready
    assert got(segments.ready()) == []
    finish(segments, takes[0], 0.5)
    assert got(segments.ready()) == [(0, 3 * MIB), (3 * MIB, 6 * MIB), (6 * MIB, 8 * MIB)]
    assert not segments.is_over


def test_the_chunks_of_a_leg_that_fails_stay_and_the_rest_is_taken_first() -> None:
    segments = Segments[str](0, 100 * MB, rate=5 * MB)
    first, cut = taken(segments, "a"), taken(segments, "b")
    bring(segments, cut, 2 * MIB + 77)
    segments.failed(cut)
    assert segments.waiting("b") == 2 * MIB
    rest = taken(segments, "c")
    assert (rest.segment.start, rest.segment.stop) == (5 * MIB, 6 * MIB)
    finish(segments, first, 1.0)
    assert got(segments.ready()) == [(0, 3 * MIB), (3 * MIB, 5 * MIB)]
    assert segments.waiting("b") == 0


def test_one_that_fails_with_less_than_a_chunk_leaves_all_of_it() -> None:
    segments = Segments[str](0, 100 * MB, rate=5 * MB)
    _first, cut = taken(segments, "a"), taken(segments, "b")
    bring(segments, cut, 1000)
    segments.failed(cut)
    assert cut.data == []
    assert taken(segments, "b").segment is cut.segment


def test_of_the_one_whose_turn_is_next_every_byte_stays() -> None:
    """As of a plain stream that breaks off: what follows begins there, and ends where a chunk does."""
    segments = Segments[str](0, 100 * MB, rate=5 * MB)
    cut = taken(segments, "a")
    bring(segments, cut, 1000)
    segments.failed(cut)
    assert got(segments.ready()) == [(0, 1000)]
    rest = taken(segments, "b")
    assert (rest.segment.start, rest.segment.stop) == (1000, 3 * MIB)


def test_one_that_fails_after_its_last_byte_leaves_nothing_to_fetch() -> None:
    segments = Segments[str](0, 3 * MIB, rate=5 * MB)
    takes = [taken(segments, leg, legs=1) for leg in "ab"]
    for take in takes:
        bring(segments, take, take.segment.size)
        segments.failed(take)
    assert segments.take("c", 0.1, 1) is None
    assert [stop for _, stop in got(segments.ready())] == [take.segment.stop for take in takes]
    assert segments.is_over


def test_a_silent_leg_s_segment_is_taken_once_more_and_the_first_whole_counts() -> None:
    segments = Segments[str](0, 4 * MIB, rate=5 * MB)
    silent, other = taken(segments, "a", legs=1), taken(segments, "b", legs=1)
    finish(segments, other, 0.1)
    rest = segments.take("b", 0.1, 1)
    while rest is not None:
        finish(segments, rest, 0.2)
        rest = segments.take("b", 0.2, 1)
    assert segments.take("b", SILENT_S, 1) is None, "it has not had its time"
    hedge = taken(segments, "b", SILENT_S + 1)
    assert hedge.segment is silent.segment
    assert segments.take("c", SILENT_S + 1, 1) is None, "two are enough"
    assert finish(segments, hedge, SILENT_S + 2) == ["a"]
    assert finish(segments, silent, SILENT_S + 3) == []
    assert silent.data == []
    assert got(segments.ready())[0] == (0, hedge.segment.stop)
    assert segments.is_over


def hedged() -> tuple[Segments[str], Take[str], Take[str]]:
    """One is late with the first segment; another has brought all that it may, and now helps: both takes of it."""
    segments = Segments[str](0, 40 * MIB, rate=5 * MB)
    late = taken(segments, "a")
    while (rest := segments.take("b", 0.2, 4)) is not None:
        finish(segments, rest, 0.4)
    hedge = taken(segments, "b", SILENT_S + 3)
    return segments, late, hedge


def test_one_that_was_late_takes_a_small_segment_next_and_its_helper_loses_nothing() -> None:
    segments, late, hedge = hedged()
    assert hedge.is_hedge
    assert not late.is_hedge
    assert not late.is_outdone
    finish(segments, hedge, SILENT_S + 4)
    assert late.is_outdone
    assert not hedge.is_outdone
    segments.failed(late)
    list(segments.ready())
    assert taken(segments, "a", 10.0).segment.size == MIB
    assert taken(segments, "b", 10.0).segment.size == 2 * MIB


def test_one_that_only_helped_is_as_fast_as_before() -> None:
    segments, late, hedge = hedged()
    finish(segments, late, SILENT_S + 3.1)
    assert hedge.is_outdone
    segments.failed(hedge)
    list(segments.ready())
    assert taken(segments, "b", 10.0).segment.size == 2 * MIB


def test_a_leg_that_is_nearly_done_is_waited_for() -> None:
    segments = Segments[str](0, MIB, rate=MB)
    take = taken(segments, "a")
    bring(segments, take, MIB - 10)
    assert segments.take("b", 60.0, 2) is None


def test_a_leg_that_slows_down_is_late() -> None:
    segments = Segments[str](0, MIB, rate=MB)
    take = taken(segments, "a")
    bring(segments, take, MIB // 10)
    assert segments.take("b", LATE_S, 2) is None
    assert taken(segments, "b", 2.0, 2).segment is take.segment


def test_the_last_segments_are_small_for_all_to_end_together() -> None:
    segments = Segments[str](0, 32 * MIB, rate=80 * MB)
    sizes = []
    while (take := segments.take("a", 0.0, 4)) is not None:
        sizes.append(take.segment.size)
        finish(segments, take, 0.05)
        list(segments.ready())
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (4 * MIB, MIB)


LEGS = "abcd"


@settings(max_examples=60)
@given(
    start=st.integers(1, 3 * MIB),
    size=st.integers(1, 40 * MIB),
    rate=st.floats(1, 1e9),
    acts=st.lists(
        st.tuples(st.sampled_from(LEGS), st.sampled_from(["some", "done", "fail", "wait"]), st.floats(0, 1)),
        max_size=60,
    ),
)
def test_every_byte_has_its_turn_once_and_never_too_much_is_held(
    start: int, size: int, rate: float, acts: list[tuple[str, str, float]]
) -> None:
    """Whatever the legs do. In the end all deliver."""
    segments = Segments[str](start, start + size, rate)
    under_way: dict[str, Take[str]] = {}
    ranges: list[tuple[int, int]] = []
    now = 0.0
    for leg, act, part in [*acts, *[(leg, "done", 0.0) for leg in LEGS] * 40]:
        now += part
        take = under_way.pop(leg, None) or segments.take(leg, now, len(LEGS))
        if take is None or act == "wait":
            under_way |= {} if take is None else {leg: take}
        elif act == "some":
            bring(segments, take, int((take.segment.size - take.size) * part / 2))
            under_way[leg] = take
        elif act == "fail":
            segments.failed(take)
        else:
            for other in finish(segments, take, now):
                segments.failed(under_way.pop(other))
        assert segments.held <= max(HELD, MOST)
        ranges += got(segments.ready())
        if segments.is_all_here:
            break
        now += 1.0
    assert segments.is_over
    assert ranges[0][0] == start
    assert ranges[-1][1] == start + size
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges))
    broken_off = sum(act == "fail" for _, act, _ in acts)
    assert sum(stop % CHUNK_BYTES != 0 for _, stop in ranges[:-1]) <= broken_off
