"""What a client's command is wrapped in: limits by the shell, and faults of system calls by strace.

Both work on any program in any language. `{output}` is the folder of the run. Exclusions: where strace is absent the case
is not measured.
"""

from __future__ import annotations

import shutil

from .system import UnavailableError

_STRACE = ["strace", "-f", "-qq", "-o", "{output}/strace"]

AROUND: dict[str, list[str]] = {
    # Blocks of 1024 bytes in bash, of 512 in dash: bash is asked for.
    "files-of-1-MiB": ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash"],
    "few-descriptors": ["bash", "-c", 'ulimit -n 24; exec "$@"', "bash"],
    "fsync-fails": [*_STRACE, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"],
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


def wrapped(name: str) -> list[str]:
    """The words that go before a command; UnavailableError if their program is not here."""
    words = AROUND[name]
    if shutil.which(words[0]) is None:
        raise UnavailableError(f"{words[0]} is not installed")
    return words
