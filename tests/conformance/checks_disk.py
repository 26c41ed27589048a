"""Checks of what is on disk, and of what strace saw: for cases of one run. Each yields what was wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .checks import old_bytes_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .stage import Run

_CALL = re.compile(r"(?:\d+ +)?(?P<name>\w+)\((?P<rest>.*)")
_OPEN = re.compile(r"\d+<(?P<path>[^>]*)>")
_NAMED = re.compile(r'(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>|"(?P<path>(?:[^"\\]|\\.)*)"')


def right_or_old_kept(run: Run) -> Iterable[str]:
    """Either the new file is there, or the old one is, somewhere."""
    return () if run.all_right else old_bytes_kept(run)


def folder_untouched(run: Run) -> Iterable[str]:
    """What was in the folder that stood in the file's place is there still."""
    if not _target(run).joinpath("somebody's.txt").is_file():
        yield "the folder that stood in the file's place was changed"


def link_target_untouched(run: Run) -> Iterable[str]:
    """What the link pointed at has the bytes that it had."""
    theirs = Path(run.job["folder"]).parent / "theirs.bin"
    if not theirs.is_file() or set(theirs.read_bytes()) != {ord("p")}:
        yield "the file that the link pointed at was changed"


def no_leftovers(run: Run) -> Iterable[str]:
    """Beside the job's files nothing but hidden names at the folder's top."""
    folder = Path(run.job["folder"])
    wanted = {file["path"] for file in run.job["files"]}
    files = {path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()}
    left = sorted(str(path) for path in files if str(path) not in wanted and path.parts[0][0] != ".")
    if left:
        yield f"left in the folder: {', '.join(left)}"


def failed_fsync_is_a_failure(run: Run) -> Iterable[str]:
    """No success after an fsync in the job's folder that failed; who never calls it has no such failure."""
    failed = [path for name, path in _calls(run) if name in {"fsync", "fdatasync"} and _is_inside(path, run)]
    if run.code == 0 and failed:
        yield f"exit 0, though fsync failed on {failed[0]}"


def synced_then_named(run: Run) -> Iterable[str]:
    """Fsync of the file, then the rename to its final name, then fsync of its folder."""
    target = str(_target(run))
    calls = list(_calls(run))
    named = [
        at for at, (name, path) in enumerate(calls) if path == target and name.startswith(("rename", "link"))
    ]
    if not named:
        yield "the file did not get its name by a rename"
        return
    source = calls[named[0] - 1][1]
    synced = ("fsync", "fdatasync")
    if not any(name in synced and path == source for name, path in calls[: named[0]]):
        yield "the file was not fsynced before the rename"
    if not any(name in synced and path == str(_target(run).parent) for name, path in calls[named[0] :]):
        yield "its folder was not fsynced after the rename"


def _calls(run: Run) -> Iterable[tuple[str, str]]:
    """(call, path) in order, from strace's output; a rename is two: its source, then its target."""
    for line in (run.output / "strace").read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found is None or found["rest"].startswith("resumed"):
            continue
        name, rest = found["name"], found["rest"]
        if name in {"fsync", "fdatasync"}:
            opened = _OPEN.match(rest)
            if opened:
                yield name, opened["path"]
        else:
            yield from _renamed(name, rest, run.output)


def _renamed(name: str, rest: str, cwd: Path) -> Iterable[tuple[str, str]]:
    """The two paths of a rename, absolute; strace -y says to which folder a relative one belongs."""
    base = str(cwd)
    for part in _NAMED.finditer(rest):
        if part["folder"] is not None:
            base = part["folder"]
        elif part["path"] is not None:
            yield name, str(Path(base, part["path"]))


def _is_inside(path: str, run: Run) -> bool:
    return path.startswith(f"{run.job['folder']}/")


def _target(run: Run) -> Path:
    return Path(run.job["folder"], run.job["files"][0]["path"])


ALL: dict[str, Callable[[Run], Iterable[str]]] = {
    "right-or-old-kept": right_or_old_kept,
    "folder-untouched": folder_untouched,
    "link-target-untouched": link_target_untouched,
    "no-leftovers": no_leftovers,
    "failed-fsync-is-a-failure": failed_fsync_is_a_failure,
    "synced-then-named": synced_then_named,
}
