"""What a client's command is wrapped in: limits by the shell, faults of system calls by strace, another clock by `clock.c`.

They work on any program in any language (the clock on those that use the C library). `{output}` is the folder of the run.
Exclusions: where the shell, strace or a C compiler is absent the case is not measured.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .system import UnavailableError

CLOCK = "jumping-clock"
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


def _clock(output: Path) -> list[str]:
    """A wall clock that is wrong by the seconds in `output`/clock; the clocks that never jump are left alone."""
    library = output / "clock.so"
    source = Path(__file__).parent / "clock.c"
    if shutil.which("cc") is None:
        raise UnavailableError("cc is not installed")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return ["env", f"LD_PRELOAD={library}", f"CONFORMANCE_CLOCK={output / 'clock'}"]


def wrapped(name: str, output: Path) -> list[str]:
    """The words that go before a command whose run has this folder; UnavailableError if their program is not here."""
    if name == CLOCK:
        return _clock(output)
    words = AROUND[name]
    if shutil.which(words[0]) is None:
        raise UnavailableError(f"{words[0]} is not installed")
    return [word.replace("{output}", str(output)) for word in words]
