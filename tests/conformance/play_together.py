"""Several clients at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stage import Stage


def herd(stage: Stage) -> None:
    """Six clients, each with a folder of its own, are told to come back in a second."""
    with contextlib.ExitStack() as opened:
        started = [opened.enter_context(stage.start(_apart(stage, number))) for number in range(6)]
        for _, process in started:
            process.wait()
    for run, _ in started:
        stage.expect_right(run)
    asked = stage.world.journal.select(server="gateway1")
    refused = [entry.time for entry in asked if entry.status == 429]
    served = [entry.time for entry in asked if entry.status == 200]
    stage.demand(len(refused) == 6, f"{len(refused)} of 6 clients were told 429")
    if refused and served:
        # Of each client: how long after its own refusal it came back.
        waits = sorted(served[at] - refused[at] for at in range(min(len(served), len(refused))))
        stage.demand(waits[0] >= 0.8, f"one came back after {waits[0]:.2f} s; Retry-After was 1")
        stage.demand(waits[-1] - waits[0] > 0.1, f"all came back after {waits[0]:.2f} s")


def _apart(stage: Stage, number: int) -> dict[str, Any]:
    """The job, with folders of its own."""
    folder, state = (stage.sandbox / f"{name}{number}" for name in ("models", "state"))
    folder.mkdir()
    state.mkdir()
    return stage.make_job(folder=folder, state=state)
