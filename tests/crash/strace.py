"""strace: kills at a syscall, makes one fail, or writes down what was called.

A count (`when`) is of each thread by itself, which is how strace counts. With `path`, only calls that
name it or have it open are counted. Exclusions: what the calls mean (`operations`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RENAMES = "rename,renameat,renameat2"
CHANGES = {
    "write": "write",
    "pwrite64": "pwrite64",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "rename": RENAMES,
    "unlink": "unlink,unlinkat",
    "link": "link,linkat",
    "ftruncate": "ftruncate",
    "mkdir": "mkdir,mkdirat",
}
"""What changes a disk, by groups that are counted together; opening files is left out: nothing hangs on it alone."""

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)", re.DOTALL)
_CALL = re.compile(
    r"(?P<name>\w+)\((?P<args>.*)\) += (?P<result>-?\d+|0x[0-9a-f]+|\?)(?P<more>.*)", re.DOTALL
)
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True)
class Call:
    """A syscall as strace wrote it; `result` is negative where it failed, None where it never returned."""

    pid: int
    name: str
    args: tuple[str, ...]
    result: int | None


def killing(calls: str, when: int, path: Path | None = None) -> tuple[str, ...]:
    """SIGKILL as a thread enters one of `calls` for the time `when`: the call is not made."""
    # Not with --seccomp-bpf, where a signal that is to be injected gets lost (strace 6.1).
    return (*_quiet(path), "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={when}")


def failing(calls: str, error: str, when: str = "1+", path: Path | None = None) -> tuple[str, ...]:
    """`calls` are not made and end in `error`."""
    return (*_quiet(path), "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}")


def writing(log: Path, calls: str, *, string_bytes: int = 32) -> tuple[str, ...]:
    """Every one of `calls` into `log`, strings as hex, which `read` reads."""
    options = ("-f", "-qq", "--seccomp-bpf", "-xx", "-s", str(string_bytes), "-o", str(log))
    return ("strace", *options, "-e", f"trace={calls}", "-e", "signal=none")


def _quiet(path: Path | None) -> tuple[str, ...]:
    only = () if path is None else ("-P", str(path))
    return ("strace", "-f", "-qq", "-o", "/dev/null", *only)


def read(log: Path) -> Iterator[Call]:
    """The calls in the order in which they returned; a `close` where it began: its number is free from then on."""
    begun: dict[int, str] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            match = _LINE.fullmatch(line.rstrip("\n"))
            if match is None:
                continue
            pid, rest = int(match["pid"]), match["rest"]
            if rest.endswith(_UNFINISHED):
                begun[pid] = rest.removesuffix(_UNFINISHED)
                if rest.startswith("close("):
                    yield Call(pid, "close", (begun[pid].removeprefix("close("),), 0)
                continue
            if resumed := _RESUMED.fullmatch(rest):
                if resumed["name"] == "close":
                    continue
                rest = begun.pop(pid, "") + resumed["rest"]
            if call := _CALL.fullmatch(rest):
                result = None if call["result"] == "?" else int(call["result"], 0)
                yield Call(pid, call["name"], tuple(call["args"].split(", ")), result)


def text(quoted: str) -> bytes:
    """The bytes of a string that strace wrote as hex; ValueError if it was cut off."""
    if not (quoted.startswith('"') and quoted.endswith('"')):
        raise ValueError(f"not a whole string: {quoted[-20:]}")
    return bytes.fromhex(quoted[1:-1].replace("\\x", ""))
