"""What a client's command is wrapped in: limits by the shell, faults of system calls by strace, another
clock by libfaketime.

They work on any program in any language (libfaketime on those that use the C library). `{output}` is the folder of the run. Exclusions: where these are absent the case
is not measured.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .system import UnavailableError

_STRACE = ["strace", "-f", "-qq", "-o", "{output}/strace"]

AROUND: dict[str, list[str]] = {
    # Blocks of 1024 bytes in bash, of 512 in dash: bash is asked for.
    "files-of-1-MiB": ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash"],
    "few-descriptors": ["bash", "-c", 'ulimit -n 24; exec "$@"', "bash"],
    "fsync-fails": [*_STRACE, "-y", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"],
    "rename-fails-across": [
        *_STRACE,
        "-e",
        "trace=rename,renameat,renameat2",
        "-e",
        "inject=rename,renameat,renameat2:error=EXDEV",
    ],
    "killed-at-rename": [
        *_STRACE,
        "-e",
        "trace=rename,renameat,renameat2",
        "-e",
        "inject=rename,renameat,renameat2:signal=SIGKILL",
    ],
    "locks-are-none": [*_STRACE, "-e", "trace=flock", "-e", "inject=flock:retval=0"],
    "traced": [
        *_STRACE,
        "-y",
        "-s",
        "400",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat",
    ],
}


def _faketime(clock: str) -> list[str]:
    """libfaketime, which reads by how much the wall clock is wrong from that file; the monotonic clock is left alone."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise UnavailableError("libfaketime is not installed")
    told = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1"}
    return ["env", *(f"{name}={value}" for name, value in told.items()), "FAKETIME_DONT_FAKE_MONOTONIC=1"]


def wrapped(name: str) -> list[str]:
    """The words that go before a command; UnavailableError if their program is not here."""
    words = _faketime("{output}/clock") if name == "jumping-clock" else AROUND[name]
    if shutil.which(words[0]) is None:
        raise UnavailableError(f"{words[0]} is not installed")
    return words
