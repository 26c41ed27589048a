"""Jobs and answers that mean harm, and what a client holds and leaves open while it works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import held, verdict
from .ports import open_to_the_network

if TYPE_CHECKING:
    from pathlib import Path

    from .stage import Stage

_LONG = "x" * (64 << 10)
_LOOK_S = 0.02
_MIB = 1 << 20


def hostile_path(stage: Stage) -> None:
    """The job's one file has a path that no file may have."""
    job = stage.make_job()
    path = stage.case.given["path"]
    job["files"][0]["path"] = path.replace("{sandbox}", str(stage.sandbox)).replace("{long}", _LONG)
    before = _all_files(stage)
    run = stage.run(job, watched=False)
    stage.demand(run.code == 1, f"exit {run.code}; the job was to be refused with 1")
    stage.demand(not run.entries, f"{len(run.entries)} requests were made for a job that makes no sense")
    there = sorted(_all_files(stage) - before)
    stage.demand(not there, f"it wrote {', '.join(map(str, there))}")


def one_path_twice(stage: Stage) -> None:
    """The same path with two digests; the second is nobody's."""
    job = stage.make_job()
    job["files"].append({**job["files"][0], "sha256": "0" * 64})
    run = stage.run(job)
    stage.demand(run.code == 1, f"exit {run.code}, though both cannot be there")


def file_as_folder(stage: Stage) -> None:
    """The second path goes on where the first ends."""
    job = stage.make_job()
    job["files"].append({**job["files"][0], "path": f"{job['files'][0]['path']}/more.bin"})
    run = stage.run(job)
    stage.demand(run.code == 1, f"exit {run.code}, though both cannot be there")


def unproven(stage: Stage) -> None:
    """The job's file has no digest, or the one that the case gives."""
    job = stage.make_job()
    del job["files"][0]["sha256"]
    job["files"][0] |= stage.case.given
    run = stage.run(job, watched=False)
    stage.demand(run.code == 1, f"exit {run.code} for a file that nothing proves")
    stage.demand(not stage.target().exists(), "the file has its final name")


def no_open_ports(stage: Stage) -> None:
    """Looked at in the middle of a download."""
    with stage.start() as (run, process):
        size = stage.files[0].blob.size
        stage.until(lambda: stage.world.journal.bytes_sent() > size // 3, process)
        found = open_to_the_network(process.group())
    stage.demand(not found, f"it listens on {', '.join(found)}")
    stage.problems += verdict.of_result(run, "right")


def unpacked(stage: Stage) -> None:
    """What is on disk and in memory is looked at while the client runs: never as much as the case gives, in MiB."""
    on_disk = in_memory = 0
    with stage.start() as (run, process):
        ends_at = time.monotonic() + float(stage.job["deadline_s"])
        while not process.is_over and time.monotonic() < ends_at:
            on_disk = max(on_disk, held.on_disk(stage.sandbox))
            in_memory = max(in_memory, held.in_memory(process.group()))
            time.sleep(_LOOK_S)
    stage.judge(run)
    for what, most, found in (("on disk", "disk_mib", on_disk), ("in memory", "memory_mib", in_memory)):
        limit = stage.case.given[most]
        stage.demand(found < limit * _MIB, f"it had {found // _MIB} MiB {what}, for a file of less than one")


def _all_files(stage: Stage) -> set[Path]:
    """Files of the scene, those of its runs (`job.json`, output) and of the client's own left out."""
    own = {stage.state}
    found = {path for path in stage.sandbox.rglob("*") if path.is_file() and not own & set(path.parents)}
    return {path for path in found if not path.relative_to(stage.sandbox).parts[0].startswith("run")}
