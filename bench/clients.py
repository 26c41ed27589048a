"""Who is measured: this engine, and what a user would pick instead, each as whole processes at its best setting.

What the others do not do is part of the comparison: those that prove no byte are followed by `openssl`, whose time
counts and is shown apart. A program with no notion of several sources is run once for each, for the files that are not
there yet, as a shell script would. Exclusions: nothing is measured here (`process`), nothing judged (`report`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.job import JOBS
from bench.process import Measured, NotDoneError, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.job import Job

WRITTEN_AT_ONCE = 4096
"""Bytes that a program's output waits for, if it is no terminal (glibc's BUFSIZ for what has blocks of so many)."""

PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Client:
    """A program and how it is told of a job. `proves`: it holds every byte against the manifest's SHA-256 itself.

    It cannot be measured without the commands `needs` and the Python module `module`. `moves`: it has the files at the end.
    """

    name: str
    run: Callable[[Job, Path], Measured]
    proves: bool = False
    needs: tuple[str, ...] = ()
    module: str = ""
    moves: bool = True

    def absent(self) -> list[str]:
        """What it cannot be measured without and is not on this machine."""
        modules = [self.module] if self.module and find_spec(self.module) is None else []
        return modules + [command for command in self.needs if shutil.which(command) is None]


def engine(*words: str) -> Callable[[Job, Path], Measured]:
    """`fallback sync`, or another command of it: proves every byte, fsyncs every file."""

    def client(job: Job, log: Path) -> Measured:
        return run(_engine(job, *(words or ("sync", "--quiet"))), log)

    return client


def engine_alone(job: Job, log: Path) -> Measured:
    """One connection a file, however slow it is."""
    return run(["env", "FALLBACK_CONNECTIONS=1", *_engine(job, "sync", "--quiet")], log)


def engine_killed(job: Job, log: Path) -> Measured:
    """Killed when half of it is there, then run again."""
    command = _engine(job, "sync", "--quiet")
    return run(command, log, job.is_half_there).then(run(command, log))


def in_process(job: Job, log: Path) -> Measured:
    """`fallback.sync()` in a process that has run it before: only the second call counts."""
    told = job.beside("seconds")
    measured = _program("warm_call.py", log, str(told), str(job.manifest_path), str(job.folder))
    if measured.code:
        return measured
    seconds, cpu_seconds = map(float, told.read_text().split())
    return Measured(seconds, cpu_seconds, measured.peak_rss_bytes, measured.code)


def curl(job: Job, log: Path) -> Measured:
    """One file after the other in one process, its connection kept."""
    return _by_source(job, log, ["curl"])


def curl_parallel(job: Job, log: Path) -> Measured:
    """`curl -Z`: as many at once as the engine."""
    return _by_source(job, log, ["curl", "-Z", "--parallel-max", str(JOBS)])


def curl_killed(job: Job, log: Path) -> Measured:
    """Killed when half of it is there, then run again with `-C -`."""
    words = ["curl", "-Z", "--parallel-max", str(JOBS), "-C", "-"]
    return run(_curl(job, words), log, job.is_half_there).then(_by_source(job, log, words))


def curl_fsynced(job: Job, log: Path) -> Measured:
    """`curl -Z`, then `openssl` on two cores, then fsync of every file: what the engine does, by hand."""
    had = curl_parallel(job, log)
    proof = _openssl(job)
    synced = run(["xargs", "-0", "-a", str(job.beside("paths.txt")), "sync"], log)
    return had.verified(proof.then(synced))


def aria2c(job: Job, log: Path) -> Measured:
    """Checksums are in its list of files; of several sources it uses all at once."""
    return run(_aria2c(job), log)


def aria2c_killed(job: Job, log: Path) -> Measured:
    """Killed when half of it is there, then run again with `-c`."""
    return run(_aria2c(job), log, job.is_half_there).then(run(_aria2c(job), log))


def wget(job: Job, log: Path) -> Measured:
    """By `xargs`, as many at once as the engine."""
    pairs = job.beside("wget.txt")
    for path in job.sizes():
        path.parent.mkdir(parents=True, exist_ok=True)
    pairs.write_text("".join(f"{path}\n{url}\n" for path, url in job.urls(job.gateways[0]).items()))
    return run(["xargs", "-a", str(pairs), "-P", str(JOBS), "-n", "2", "wget", "-q", "--no-proxy", "-O"], log)


def hub_client(job: Job, log: Path) -> Measured:
    """`snapshot_download` of each repository from the Hub, into the models folder."""
    return _program("snapshot.py", log, str(job.manifest_path), str(job.folder), job.hub, str(JOBS))


def _of_urls(program: str) -> Callable[[Job, Path], Measured]:
    """A Python program of ours that is told of URLs and digests by a JSON file."""

    def client(job: Job, log: Path) -> Measured:
        proofs = job.sha256()
        files = {str(path): {"urls": urls, "sha256": proofs[path]} for path, urls in job.sources().items()}
        listed = job.beside("files.json")
        listed.write_text(json.dumps(files))
        return _program(program, log, str(listed))

    return client


def openssl(job: Job, _log: Path) -> Measured:
    """What proving the files costs another program: SHA-256 of each, on two cores, held against the manifest."""
    return _openssl(job)


def bare_python(_job: Job, log: Path) -> Measured:
    """The least that a command line in Python with a database costs."""
    return run([sys.executable, "-c", "import click, sqlite3"], log)


PROOF = ("xargs", "openssl")
"""What `prove` runs."""

CLIENTS = {
    client.name: client
    for client in (
        Client("fallback", engine(), proves=True),
        Client("fallback on one connection", engine_alone, proves=True),
        Client("fallback verify", engine("verify"), proves=True),
        Client("fallback in process", in_process, proves=True),
        Client("fallback killed", engine_killed, proves=True),
        Client("curl", curl, needs=("curl", *PROOF)),
        Client("curl -Z", curl_parallel, needs=("curl", *PROOF)),
        Client("curl -Z + fsync", curl_fsynced, proves=True, needs=("curl", *PROOF, "sync")),
        Client("curl -Z killed", curl_killed, needs=("curl", *PROOF)),
        Client("aria2c", aria2c, proves=True, needs=("aria2c",)),
        Client("aria2c killed", aria2c_killed, proves=True, needs=("aria2c",)),
        Client("wget", wget, needs=("wget", *PROOF)),
        Client("huggingface_hub", hub_client, needs=PROOF, module="huggingface_hub"),
        Client("pooch", _of_urls("pooch_loop.py"), proves=True, module="pooch"),
        Client("pypdl", _of_urls("pypdl_tasks.py"), needs=PROOF, module="pypdl"),
        Client("requests loop", _of_urls("requests_loop.py"), needs=PROOF),
        Client("openssl -P2", openssl, proves=True, needs=PROOF),
        Client("python3 -c import", bare_python, proves=True, moves=False),
    )
}


def prove(client: Client, job: Job, measured: Measured) -> Measured:
    """The same, with the proof behind it that the client lacks."""
    return measured if client.proves else measured.verified(_openssl(job))


def _openssl(job: Job) -> Measured:
    """SHA-256 of each file, on two cores; NotDoneError if one is not what it is to be."""
    listed, sums = job.beside("paths.txt"), job.beside("sums.txt")
    wanted = job.sha256()
    listed.write_bytes(b"".join(str(path).encode() + b"\0" for path in wanted))
    sums.unlink(missing_ok=True)
    # Few files a call where they are large, so that both cores are at work; many where starting would cost most,
    # but none whose output is more than is written at once: two of them write into one file.
    longest = max(len(os.fsencode(path)) for path in wanted) + len(f"{'0' * 64} *\n")
    at_once = str(max(1, min(len(wanted) // 100, WRITTEN_AT_ONCE // longest)))
    digest = ["xargs", "-0", "-a", str(listed), "-P", "2", "-n", at_once, "openssl", "dgst", "-sha256", "-r"]
    proof = run(digest, sums)
    said = sums.read_text(errors="replace")
    if proof.code:
        raise NotDoneError(f"openssl, by xargs: exit code {proof.code}\n{said[-2000:]}")
    seen = {line[66:]: line[:64] for line in said.splitlines()}  # "hex *path"
    if seen != {str(path): sha256 for path, sha256 in wanted.items()}:
        raise NotDoneError(f"{len(wanted)} files, and openssl does not find them right")
    return proof


def _engine(job: Job, *words: str) -> list[str]:
    command = [sys.executable, "-m", "fallback", *words]
    command += ["--manifest", str(job.manifest_path), "--models-dir", str(job.folder)]
    if words[0] == "sync":
        command += ["--jobs", str(JOBS), "--hf-endpoint", job.hub]
        for gateway in job.gateways:
            command += ["--gateway", gateway]
    return command


def _by_source(job: Job, log: Path, words: list[str]) -> Measured:
    """Curl once a source, for the files that are not there."""
    measured: Measured | None = None
    for number in range(len(job.gateways)):
        if number and all(path.exists() for path in job.sizes()):
            break
        one = run(_curl(job, words, number), log)
        measured = one if measured is None else measured.then(one)
    assert measured is not None, "there is a source"
    # 22 is any HTTP error, also the 416 that a whole file gets from -C -; what is missing shows on the disk.
    return replace(measured, code=0) if measured.code == 22 else measured


def _curl(job: Job, words: list[str], number: int = 0) -> list[str]:
    patience = ["--speed-limit", "1", "--speed-time", str(max(1, round(job.patience_s)))]
    command = [*words, "--no-progress-meter", "--noproxy", "*", "-f", "-L", "--create-dirs", *patience]
    config = job.beside("curl.txt")
    urls = job.urls(job.gateways[number])
    wanted = urls if "-C" in words else {path: url for path, url in urls.items() if not path.exists()}
    # From a file: ten thousand URLs are no command line.
    config.write_text("".join(f'url = "{url}"\noutput = "{path}"\n' for path, url in wanted.items()))
    return [*command, "-K", str(config)]


def _aria2c(job: Job) -> list[str]:
    listed, proofs = job.beside("aria2.txt"), job.sha256()
    lines = []
    for path, urls in job.sources().items():
        lines += ["\t".join(urls), f"  dir={path.parent}", f"  out={path.name}"]
        lines += [f"  checksum=sha-256={proofs[path]}"]
    listed.write_text("\n".join(lines) + "\n")
    # It counts connections by host, and here every source is the same one.
    connections = str(len(job.gateways))
    command = ["aria2c", "-i", str(listed), "-j", str(JOBS), "-x", connections, "-s", connections, "-k", "1M"]
    command += ["-c", "--file-allocation=none"]
    command += [f"--{name}={round(job.patience_s)}" for name in ("connect-timeout", "timeout")]
    return [
        *command,
        "--console-log-level=error",
        "--summary-interval=0",
        "--no-conf",
        f"--max-tries={job.tries}",
    ]


def _program(name: str, log: Path, *arguments: str) -> Measured:
    return run([sys.executable, str(PROGRAMS / name), *arguments], log)
