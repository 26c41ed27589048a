"""Cases of two runs: what the first one left on disk, and what it learned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import verdict

if TYPE_CHECKING:
    from .stage import Stage


def warm(stage: Stage) -> None:
    """Got once, then left alone."""
    if not stage.expect_right(stage.run()):
        return
    before = stage.target().stat()
    second = stage.run()
    stage.expect_right(second)
    stage.demand(not second.entries, f"{len(second.entries)} requests in the second run")
    if second.all_right:
        after = stage.target().stat()
        same = (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        stage.demand(same, "the second run wrote the file anew")


def deleted(stage: Stage) -> None:
    """Gone between two runs."""
    if not stage.expect_right(stage.run()):
        return
    stage.target().unlink()
    stage.expect_right(stage.run())


def rotten(stage: Stage) -> None:
    """One bit changes between two runs; with `keep_time` the modification time does not."""
    if not stage.expect_right(stage.run()):
        return
    path, before = stage.target(), stage.target().stat()
    with path.open("r+b") as stream:
        stream.seek(before.st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    if stage.case.given.get("keep_time"):
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    stage.expect_right(stage.run())


def not_asked_again(stage: Stage) -> None:
    """What the first run learned of gateway1 the second one knows."""
    if not stage.expect_right(stage.run()):
        return
    stage.target().unlink()
    second = stage.run()
    stage.expect_right(second)
    asked = second.asked("gateway1")
    stage.demand(not asked, f"the second run asked gateway1 again, {len(asked)} times")


def contradicting_chunks(stage: Stage) -> None:
    """The job's chunk digests are those of other bytes."""
    job = stage.make_job()
    for file in job["files"]:
        file["chunks"] = ["0" * 64 for _ in file["chunks"]]
    run = stage.run(job)
    stage.problems += verdict.of_result(run, "either")
