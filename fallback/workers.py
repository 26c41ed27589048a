"""The same work of many things, some of them at a time, with its results in order.

Exclusions: what fails is not tried again, and the files of a sync have threads of their own (`slots`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from fallback.run import Stop

T = TypeVar("T")
Item = TypeVar("Item")


def by_threads(work: Callable[[Item], T], items: Sequence[Item], jobs: int, stop: Stop) -> Generator[T]:
    """`work` of each, in order. Whatever ends this early stops the workers and waits for them."""
    with ThreadPoolExecutor(jobs, thread_name_prefix="fallback") as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
