"""Clients that are stopped in the middle, and what the next run makes of what they left."""

from __future__ import annotations

import shutil
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

from . import verdict

if TYPE_CHECKING:
    from pathlib import Path

    from .stage import Run, Stage

YEAR_S = 365 * 24 * 3600
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


def killed(stage: Stage) -> None:
    """SIGKILL at each of these shares of the file, one run after the other; then a run to the end."""
    for fraction in stage.case.given["at"]:
        kill_at(stage, fraction)
    stage.expect_right(stage.run())


def killed_at_rename(stage: Stage) -> None:
    """Strace kills the first run at its first rename; the next one runs without."""
    with stage.start(around=["killed-at-rename"]) as (run, _):
        run.signalled = signal.SIGKILL
    stage.demand(run.code != 0 or run.all_right, "exit 0 without the file")
    stage.expect_right(stage.run())


def stopped(stage: Stage) -> None:
    """A signal that asks; with `code`, the exit code that shells and service managers know."""
    number = signal.Signals[stage.case.given["signal"]]
    began = time.monotonic()
    run = kill_at(stage, 0.3, number)
    if "code" in stage.case.given:
        wanted = {stage.case.given["code"], -number}
        stage.demand(run.code in wanted, f"exit {run.code} after {number.name}")
        return
    stage.demand(time.monotonic() - began < 8, "it took long to end")
    stage.demand(run.code != 0, "exit 0, though it was stopped")
    stage.expect_right(stage.run())


def finished_before_a_kill(stage: Stage) -> None:
    """Two small files are done when the large one is cut short."""
    small = [each for each in stage.files if each.blob.size < LARGE * 2]
    with stage.start() as (run, process):
        done = stage.until(lambda: all((stage.folder / each.path).exists() for each in small), process, 8)
        run.signalled = signal.SIGKILL
        process.signal(signal.SIGKILL)
    stage.demand(done, "finished files had no name while another was on its way")
    second = stage.run()
    stage.expect_right(second)
    for each in small:
        stage.demand(not second.asked(path=f"*/{each.name}"), f"{each.name} was asked for again")


def state_lost(stage: Stage) -> None:
    """Between two runs the client's own folder is emptied, or every file of it is overwritten."""
    stage.expect_right(stage.run())
    if stage.case.given["how"] == "removed":
        shutil.rmtree(stage.state)
        stage.state.mkdir()
    for path in stage.state.rglob("*"):
        if path.is_file():
            path.write_bytes(b"no database, no lock, nothing that anybody could read\n" * 200)
    second = stage.run()
    stage.expect_right(second)
    stage.demand(not second.asked(), "files that are there and right were asked for again")


def clock_jump(stage: Stage) -> None:
    """The wall clock jumps a year ahead in the middle, and back."""
    with stage.start() as (run, process):
        clock = process.output / "clock"
        size = stage.files[0].blob.size
        for sent, offset_s in ((size // 3, YEAR_S), (size * 2 // 3, -YEAR_S)):
            there = stage.until(partial(_is_sent, stage, sent), process)
            stage.demand(there and not process.is_over, "it ended before the clock had jumped")
            clock.write_text(f"{offset_s}\n")
    stage.judge(run)


def _is_sent(stage: Stage, count: int) -> bool:
    return stage.world.journal.bytes_sent() > count


def flow_killed(stage: Stage) -> None:
    """Thirteen files, killed when a third of all bytes has been sent."""
    total = sum(each.blob.size for each in stage.files)
    with stage.start() as (run, process):
        stage.until(lambda: stage.world.journal.bytes_sent() > total // 3, process, 60)
        run.signalled = signal.SIGKILL
        process.signal(signal.SIGKILL)
    second = stage.run()
    stage.expect_right(second)
    # A connection's buffers, of which a large socket holds some megabytes, are nobody's fault.
    most = total - run.sent() + verdict.SLACK * 4
    stage.demand(second.sent() <= most, f"{run.sent()} of {total} bytes were sent, then {second.sent()}")


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
