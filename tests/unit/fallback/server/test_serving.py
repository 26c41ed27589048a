"""How many questions wait for the disk at a time."""

from __future__ import annotations

import asyncio
import threading

from starlette.concurrency import run_in_threadpool

from fallback.server.serving import THREADS, few_threads


def test_the_disk_is_asked_so_many_questions_at_a_time_and_the_others_can_be_let_go() -> None:
    """Or the process would end only after all that anybody had asked."""
    begun, go = threading.Semaphore(0), threading.Event()

    def question() -> None:
        begun.release()
        go.wait(10)

    async def test() -> None:
        few_threads()
        asked = [asyncio.create_task(run_in_threadpool(question)) for _ in range(3 * THREADS)]
        for _ in range(THREADS):
            assert await asyncio.to_thread(begun.acquire, timeout=10)
        for task in asked:
            task.cancel()
        go.set()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(test())
    assert not begun.acquire(blocking=False)
