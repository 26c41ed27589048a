"""So many files are received at a time, and what is synced is not counted among them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from fallback.slots import Slots

PATIENCE_S = 20


def test_a_thread_waits_until_another_leaves_its_slot() -> None:
    slots, order = Slots(1), list[str]()
    entered, may_leave, may_end = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with slots.taken():
            entered.set()
            assert may_leave.wait(PATIENCE_S)
            order.append("one leaves")
            slots.leave()
            assert may_end.wait(PATIENCE_S), "the other one never had it"

    def second() -> None:
        with slots.taken():
            order.append("the other has it")
            may_end.set()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert entered.wait(PATIENCE_S)
        other = pool.submit(second)
        may_leave.set()
        other.result(PATIENCE_S)
        one.result(PATIENCE_S)
    assert order == ["one leaves", "the other has it"]


def test_a_slot_is_left_once() -> None:
    """Whoever leaves it early, and then comes to the end of its block, gives back one and not two."""
    slots = Slots(1)
    with slots.taken():
        slots.leave()
        slots.leave()
    slots.leave()
    with slots.taken(), ThreadPoolExecutor(1) as pool:
        tried = pool.submit(lambda: slots._free.acquire(blocking=False))
        assert not tried.result(PATIENCE_S)
