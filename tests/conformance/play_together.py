"""Several clients at once."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import signal
import time
from typing import TYPE_CHECKING, Any

from fakes.scenarios import Scenario

from .watch import state

if TYPE_CHECKING:
    from .stage import Stage

HERD = 6
ALIKE_S = 0.1
"""Five of six that come back within it have thrown no dice: of a spread of one second chance does so once in 800."""


def together(stage: Stage) -> None:
    """So many clients with the same job; with `once`, no byte is sent twice."""
    with contextlib.ExitStack() as opened:
        started = [opened.enter_context(stage.start()) for _ in range(stage.case.given["clients"])]
        for _, process in started:
            process.wait()
    for run, _ in started:
        stage.expect_right(run)
    if stage.case.given.get("once"):
        size = sum(each.blob.size for each in stage.files)
        sent = stage.world.journal.bytes_sent()
        stage.demand(sent < size * 1.5, f"{sent} bytes were sent for a file of {size}")


def holder_gone(stage: Stage) -> None:
    """The first client is killed, or stopped for good, when a second one waits for the same file."""
    number = signal.Signals[stage.case.given["signal"]]
    size = stage.files[0].blob.size
    with stage.start() as (first, holder):
        stage.until(lambda: stage.world.journal.bytes_sent() > size // 6, holder)
        with stage.start() as (second, waiter):
            time.sleep(0.8)  # for the second to start, and to find that the file is taken
            first.signalled = number
            holder.signal(number)
            waiter.wait()
        holder.signal(signal.SIGKILL)
    stage.expect_right(second)


def sweep_while_busy(stage: Stage) -> None:
    """While the large file comes, another client gets the small one into the same folder, twice."""
    job = stage.make_job()
    small, large = (
        {**job, "files": [file for file in job["files"] if file["path"].endswith(name)]}
        for name in ("a.bin", "model.bin")
    )
    with stage.start(large) as (busy, process):
        stage.until(lambda: stage.world.journal.bytes_sent() > 1_000_000, process)
        for _ in range(2):
            stage.expect_right(stage.run(small))
    stage.expect_right(busy)
    size = large["files"][0]["size"]
    sent = stage.world.journal.bytes_sent(path="*model.bin")
    stage.demand(sent < size * 1.5, f"{sent} bytes were sent for a file of {size}")


def two_versions(stage: Stage) -> None:
    """gateway2's file has every bit the other way; each client wants its own gateway's."""
    theirs = hashlib.sha256(bytes(byte ^ 0xFF for byte in stage.files[0].blob.view())).hexdigest()
    ours = stage.make_job(["gateway1"])
    other = stage.make_job(["gateway2"])
    other["files"][0]["sha256"] = theirs
    digests = {theirs, stage.files[0].blob.sha256}
    with contextlib.ExitStack() as opened:
        runs = [opened.enter_context(stage.start(job, also=digests)) for job in (ours, other)]
        for _, process in runs:
            process.wait()
    there = state(stage.target())
    stage.demand(there in digests, f"under the final name is neither of the two: {there[:16]}")
    stage.demand(any(run.code == 0 for run, _ in runs), "neither of the two succeeded")


def many_files(stage: Stage) -> None:
    """As many as the case says, in one job; each is asked for once."""
    run = stage.run()
    stage.expect_right(run)
    count = len(stage.files)
    stage.demand(len(run.asked()) <= count, f"{len(run.asked())} requests for {count} files")


def herd(stage: Stage) -> None:
    """Six clients that know nothing of one another are told to come back in a second: all but one do so alike?

    One after the other, for six at once on a busy machine are late by chance, and would look as if they had thrown dice.
    """
    waits: list[float] = []
    for number in range(HERD):
        stage.world.play(Scenario("herd", stage.case.rules))
        run = stage.run(_apart(stage, number))
        stage.expect_right(run)
        asked = [entry for entry in run.entries if entry.method]
        stage.demand(len(asked) > 1 and asked[0].status == 429, "it was not told 429 and asked again")
        waits += [later.time - earlier.time for earlier, later in itertools.pairwise(asked[:2])]
    waits.sort()
    told = ", ".join(f"{wait:.2f}" for wait in waits)
    stage.demand(
        waits and waits[0] >= 0.8, f"one came back too early; Retry-After was 1, they waited {told} s"
    )
    stage.demand(waits and waits[-2] - waits[0] > ALIKE_S, f"they come back at once: they waited {told} s")


def _apart(stage: Stage, number: int) -> dict[str, Any]:
    """The job, with folders of its own."""
    folder, state = (stage.sandbox / f"{name}{number}" for name in ("models", "state"))
    folder.mkdir()
    state.mkdir()
    return stage.make_job(folder=folder, state=state)
