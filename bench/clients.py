"""Who is measured: this engine, `curl -Z`, and a loop of requests, each as a whole process.

What the others do not do is part of the comparison: neither verifies a byte, neither survives a crash with the final
names intact. Warm, curl asks the server what is missing (`-C -`: 13 requests), and the loop believes any file that is
there. For a second source, curl is run again for the files that are missing, as a shell script would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

JOBS = 4
LOOP = Path(__file__).with_name("requests_loop.py")


@dataclass(frozen=True)
class Job:
    """13 files to have in `folder`, from `gateways` in this order; nothing is at `hub` that need be asked for."""

    manifest: Mapping[str, Any]
    manifest_path: Path
    folder: Path
    gateways: Sequence[str]
    hub: str

    def urls(self, gateway: str) -> dict[str, str]:
        """Each file's URL at a gateway, by its path below the folder."""
        return {
            f"{model['dir']}/{path}": f"{gateway}/ipfs/{model['ipfs']['cid']}/{quote(path)}"
            for model in self.manifest.values()
            for path in model["files"]
        }


@dataclass(frozen=True)
class Measured:
    """A process from its start to its end: wall and processor seconds, and its peak of resident memory."""

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    code: int


def run(command: Sequence[str], log: Path) -> Measured:
    """Run one process and measure it; its output goes to `log`.

    The kernel starts a child's peak at ours (exec keeps the high-water mark), so that what is below about 30 MB, such
    as curl's, reads as that.
    """
    with log.open("ab") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it from under subprocess
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB here
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, process.returncode)


def engine(job: Job, log: Path) -> Measured:
    """`fallback sync`: verifies every byte, fsyncs every file."""
    command = [sys.executable, "-m", "fallback", "sync", "--quiet", "--jobs", str(JOBS)]
    command += ["--manifest", str(job.manifest_path), "--models-dir", str(job.folder)]
    command += ["--hf-endpoint", job.hub]
    for gateway in job.gateways:
        command += ["--gateway", gateway]
    return run(command, log)


def curl(job: Job, log: Path) -> Measured:
    """`curl -Z --parallel-max 4`, once a source, for the files that are not there."""
    passes: list[Measured] = []
    for number, gateway in enumerate(job.gateways):
        urls = job.urls(gateway)
        wanted = [path for path in urls if number == 0 or not (job.folder / path).exists()]
        if not wanted:
            break
        command = [
            "curl",
            "-Z",
            "--parallel-max",
            str(JOBS),
            "--no-progress-meter",
            "-f",
            "-L",
            "--create-dirs",
            "-C",
            "-",
        ]
        for path in wanted:
            command += ["-o", str(job.folder / path), urls[path]]
        passes.append(run(command, log))
    return Measured(
        sum(one.seconds for one in passes),
        sum(one.cpu_seconds for one in passes),
        max(one.peak_rss_bytes for one in passes),
        # 22 is any HTTP error, also the 416 that a whole file gets from -C -; what is missing shows on the disk.
        0 if passes[-1].code == 22 else passes[-1].code,
    )


def requests_loop(job: Job, log: Path) -> Measured:
    """The loop of `requests_loop.py`, in a process of its own."""
    listed = [job.urls(gateway) for gateway in job.gateways]
    files = {path: [urls[path] for urls in listed] for path in listed[0]}
    path = job.folder.with_name("loop.json")
    path.write_text(json.dumps(files))
    return run([sys.executable, str(LOOP), str(path), str(job.folder)], log)


CLIENTS: dict[str, Callable[[Job, Path], Measured]] = {
    "fallback": engine,
    "curl -Z": curl,
    "requests loop": requests_loop,
}


def _environment() -> dict[str, str]:
    """No setting of the user's, and no proxy: all is on loopback."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FALLBACK_", "HF_")) and not name.lower().endswith("_proxy")
    }
