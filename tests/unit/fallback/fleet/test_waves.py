"""Who is next and whom it asks, without a clock, a network or Dask."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.fleet.waves import RESERVE, Waves

NAMES = [f"n{place}" for place in range(9)]


def url(node: str) -> str:
    return f"http://{node}:1"


def begun(waves: Waves) -> dict[str, tuple[str, ...]]:
    return {start.node: start.peers for start in waves.begin()}


def test_one_goes_outside_and_the_others_wait_for_it() -> None:
    waves = Waves(NAMES[:3], seeds=1, fanout=2)
    assert begun(waves) == {"n0": ()}
    assert begun(waves) == {}
    waves.has_all("n0", url("n0"))
    assert begun(waves) == {"n1": (url("n0"),), "n2": (url("n0"),)}
    waves.has_all("n1", url("n1"))
    assert not waves.over
    waves.has_all("n2", url("n2"))
    assert waves.over


def test_each_that_has_all_serves_in_its_turn_and_so_many_at_a_time() -> None:
    """With a fanout of 2: 1, 3, 9 nodes have all; waves are counted."""
    waves = Waves(NAMES, seeds=1, fanout=2)
    sizes, wave_of = [], {}
    while not waves.over:
        starts = waves.begin()
        sizes.append(len(starts))
        loads = Counter(start.peers[0] for start in starts if start.peers)
        assert max(loads.values(), default=0) <= 2
        for start in starts:
            wave_of[start.node] = start.wave
            waves.has_all(start.node, url(start.node))
    assert sizes == [1, 2, 6]
    assert Counter(wave_of.values()) == {
        0: 1,
        1: 4,
        2: 4,
    }  # who serves with less to do is asked first, whatever its wave


def test_a_node_is_given_others_in_reserve_and_the_one_with_least_to_do_first() -> None:
    waves = Waves(NAMES, seeds=8, fanout=2)
    starts = waves.begin()
    assert [start.peers for start in starts] == [()] * 8
    for start in starts:
        waves.has_all(start.node, url(start.node))
    (last,) = waves.begin()
    assert len(last.peers) == len(set(last.peers)) == 1 + RESERVE


@pytest.mark.parametrize(("again", "tries"), [(True, 2), (False, 1)])
def test_who_fails_is_begun_once_more_if_that_may_help(again: bool, tries: int) -> None:  # noqa: FBT001
    waves = Waves(["n0"], seeds=1, fanout=2)
    seen = 0
    while starts := waves.begin():
        seen += len(starts)
        waves.failed("n0", again=again)
    assert (seen, waves.over) == (tries, True)


def test_a_seed_that_fails_is_followed_by_another() -> None:
    waves = Waves(NAMES[:3], seeds=1, fanout=2)
    assert begun(waves) == {"n0": ()}
    assert not waves.failed("n0", again=False)
    assert begun(waves) == {"n1": ()}


def test_a_dead_outside_costs_few_rounds() -> None:
    """Each that could not have it lets one more try: 1, 2, 4, … and not one after another."""
    waves = Waves(NAMES, seeds=1, fanout=2)
    sizes = []
    while starts := waves.begin():
        sizes.append(len(starts))
        for start in starts:
            waves.failed(start.node, again=True)
    assert sizes == [1, 2, 4, 8, 3]
    assert waves.over


def test_who_is_gone_or_has_lied_serves_nobody() -> None:
    waves = Waves(NAMES[:4], seeds=2, fanout=1)
    assert list(begun(waves)) == ["n0", "n1"]
    waves.has_all("n0", url("n0"))
    waves.has_all("n1", url("n1"))
    waves.distrust(["n0:1", "elsewhere:80"])
    assert begun(waves) == {"n2": (url("n1"),)}
    waves.gone("n1")
    assert begun(waves) == {"n3": ()}, "nobody serves: it goes outside"
    waves.has_all("n3", url("n3"))
    waves.has_all("n2", "")
    assert waves.over


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_liar_is_not_believed_when_it_comes_back(gone: bool, end: str) -> None:  # noqa: FBT001
    """Nor if it was away when its lie was found out."""
    waves = Waves(NAMES[:2], seeds=1, fanout=1)
    waves.begin()
    waves.has_all("n0", url("n0") + end)
    if gone:
        waves.gone("n0")
    waves.distrust(["n0:1"])
    waves.has_all("n0", url("n0") + end)
    assert begun(waves) == {"n1": ()}


@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_every_node_comes_to_an_end_whatever_happens(count: int, seeds: int, fanout: int, die) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Nodes end in any order, fail, vanish, lie: each is begun, never twice at once, nobody serves too many, few go outside."""
    names = [f"n{place}" for place in range(count)]
    waves = Waves(names, seeds=seeds, fanout=fanout)
    running: dict[str, tuple[str, ...]] = {}
    in_vain = 0
    tries: Counter[str] = Counter()
    for _ in itertools.count():
        for start in waves.begin():
            assert start.node not in running
            running[start.node] = start.peers
            tries[start.node] += 1
        loads = Counter(peers[0] for peers in running.values() if peers)
        assert max(loads.values(), default=0) <= fanout
        assert sum(not peers for peers in running.values()) <= seeds + in_vain
        if waves.over:
            break
        assert running, "nobody is under way, and somebody waits"
        node = die.choice(sorted(running))
        peers = running.pop(node)
        match die.randrange(5):
            case 0:
                again = die.random() < 0.5
                in_vain += again and not peers
                waves.failed(node, again=again)
            case 1:
                waves.has_all(node, "")
            case _:
                waves.has_all(node, url(node))
        if die.random() < 0.2:
            waves.gone(die.choice(names))
        if die.random() < 0.1:
            waves.distrust([f"{die.choice(names)}:1"])
    assert set(tries) == set(names)
    assert max(tries.values()) <= 2
