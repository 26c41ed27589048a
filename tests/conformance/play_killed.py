"""Clients that are stopped in the middle, and what the next run makes of what they left."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .stage import Run, Stage

LARGE = 256 * 1024
"""A file of so many bytes, under no final name, is a partial, whoever's format it is."""


def killed_and_resumed(stage: Stage) -> None:
    """SIGKILL in the middle; the next run asks for what is missing, and for little else."""
    before = kill_at(stage, 0.5)
    second = stage.run()
    stage.expect_right(second)
    size = stage.files[0].blob.size
    most = size - before.sent() + int(stage.case.given["refetched"])
    stage.demand(
        second.sent() <= most,
        f"{before.sent()} of {size} bytes were sent before the kill, and {second.sent()} after it",
    )


def tampered(stage: Stage) -> None:
    """SIGKILL in the middle, then the partials on disk are changed, whatever they are called."""
    kill_at(stage, 0.6)
    for path in partials(stage):
        _CHANGES[stage.case.given["how"]](path, stage)
    stage.expect_right(stage.run())


def kill_at(stage: Stage, fraction: float, number: int = signal.SIGKILL) -> Run:
    """A run that is sent a signal when so much of the first file has been sent; nothing may be wrong then, either."""
    size = stage.files[0].blob.size
    with stage.start() as (run, process):
        journal = stage.world.journal
        there = stage.until(lambda: journal.bytes_sent() >= size * fraction, process)
        stage.demand(there, "it ended before there was anything to stop")
        run.signalled = number
        process.signal(number)
    stage.demand(not run.right, "it was done before it was stopped")
    return run


def partials(stage: Stage) -> list[Path]:
    """Large files in the job's folder and the client's own that have no final name."""
    final = {stage.folder / each.path for each in stage.files}
    found = [path for folder in (stage.folder, stage.state) for path in folder.rglob("*")]
    return [path for path in found if path.is_file() and path not in final and path.stat().st_size >= LARGE]


def _flip(path: Path, _: Stage) -> None:
    with path.open("r+b") as stream:
        stream.seek(LARGE // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))


def _lengthen(path: Path, stage: Stage) -> None:
    with path.open("ab") as stream:
        stream.write(b"x" * (stage.files[0].blob.size + 1000 - path.stat().st_size))


def _fill(path: Path, stage: Stage) -> None:
    """As long as the file, and wrong behind what had come."""
    with path.open("ab") as stream:
        stream.write(b"x" * (stage.files[0].blob.size - path.stat().st_size))


def _halve(path: Path, _: Stage) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


_CHANGES = {"flip": _flip, "lengthen": _lengthen, "fill": _fill, "halve": _halve}
