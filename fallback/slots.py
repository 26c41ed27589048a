"""How many files are being received at a time: the setting `jobs`, whoever waits for the disk meanwhile.

What has been received and proven is synced and named without a slot: a thousand small files would wait for the disk
one after another, where a disk takes many of them at once. So there are more threads than slots. Exclusions: what is
done for a file (`download`), what came of it (`engine`), and how many requests one file makes (`race`, `convoy`).
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fallback.run import Run
    from fallback.wanted import Wanted

AT_THE_DISK = 12
"""Files that may be synced and named beside those that are received; each holds a thread and an open file."""


class Slots:
    """So many slots; a thread has one at most."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)
        self._mine = threading.local()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """One for the calling thread, as soon as there is one, to the end of the block or until it is left."""
        self._free.acquire()
        self._mine.has_one = True
        try:
            yield
        finally:
            self.leave()

    def leave(self) -> None:
        """Let another thread have the calling one's, if it has one."""
        if getattr(self._mine, "has_one", False):
            self._mine.has_one = False
            self._free.release()


def in_slots(wanted: Sequence[Wanted], run: Run, work: Callable[[Wanted], None]) -> None:
    """`work` at each, begun in this order. Whatever ends one early stops the run, and the others are waited for."""
    waiting, slots = deque(wanted), run.network().slots

    def work_on() -> None:
        while waiting:
            with slots.taken():
                try:
                    each = waiting.popleft()
                except IndexError:  # another thread's by now
                    return
                work(each)

    # A call a thread, and not a file: waiting for ten thousand of them is work by itself.
    threads = min(run.settings.jobs + AT_THE_DISK, len(wanted))
    with ThreadPoolExecutor(threads, thread_name_prefix="fallback") as pool:
        left = {pool.submit(work_on) for _ in range(threads)}
        try:
            while left:
                # Woken now and then so that a signal's handler runs in the main thread.
                done, left = wait(left, timeout=0.2, return_when=FIRST_EXCEPTION)
                for each in done:
                    each.result()  # raises what ended it
        except BaseException:
            run.stop.set()
            waiting.clear()
            raise
