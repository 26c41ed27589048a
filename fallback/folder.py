"""What a folder on this machine holds, for a manifest to be made of it: its files' names, sizes and SHA-256.

Hidden names and those of our own (`.partial`, `.bak`) are left out and counted. A symbolic link to a
file below the same folder is that file; any other is refused by name, for its bytes belong elsewhere.
A file is hashed in constant memory, and refused if it changes meanwhile. Exclusions: nothing is
written, no row of `verified` comes of this, and what a name may be is decided in `names`.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fallback.chunks import with_proofs
from fallback.errors import Problem, StoppedError, StorageError, storage
from fallback.manifest import CHUNK_BYTES
from fallback.names import OWN_SUFFIXES
from fallback.places import walked
from fallback.reading import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fallback.manifest import File


@dataclass(frozen=True, slots=True)
class Listing:
    """Files by their paths below the folder, sorted; what was left out; and what must not be there."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    left_out: tuple[str, ...]
    problems: tuple[Problem, ...]


def included(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path matches one of `globs`, or there are none; `*` matches `/` too, as the Hub's client has it."""
    patterns = [f"{glob}*" if glob.endswith("/") else glob for glob in globs]
    return lambda path: not patterns or any(fnmatch.fnmatchcase(path, each) for each in patterns)


def below(models_dir: Path, root: Path) -> str | None:
    """Where `root` is below the models folder, as a manifest says it; None if it is not."""
    models_dir = models_dir.resolve()
    inside = root != models_dir and root.is_relative_to(models_dir)
    return root.relative_to(models_dir).as_posix() if inside else None


def listed(root: Path, wanted: Callable[[str], bool]) -> Listing:
    """What is below `root`, which is resolved; only files that are `wanted` can be a problem.

    Raises:
        StorageError: a folder cannot be read.
    """
    files: list[str] = []
    inner: list[str] = []
    left_out: list[str] = []
    problems: list[Problem] = []
    for here, folders, names in walked(root, _raise):
        for name in (*folders, *names):
            path = Path(here, name)
            relative = path.relative_to(root).as_posix()
            if _ours_or_hidden(name):
                left_out.append(relative)
            elif (what := _problem(path, root)) is not None:
                # A link to a folder may lead to files that are wanted: it is never passed over in silence.
                if wanted(relative) or path.is_dir():
                    problems.append(Problem(shown(relative), what))
            elif name in names and wanted(relative):
                files.append(relative)
        folders[:] = [name for name in folders if not _ours_or_hidden(name)]
        inner += (Path(here, name).relative_to(root).as_posix() for name in folders)
    return Listing(tuple(sorted(files)), tuple(sorted(inner)), tuple(sorted(left_out)), tuple(problems))


def proven(path: Path, file: File, over: Callable[[], bool]) -> File:
    """`file` with what proves the bytes at `path`, which nobody wrote to meanwhile.

    Raises:
        StorageError: it cannot be read, or it changed.
        StoppedError: `over` said so.
    """

    def read() -> Iterator[bytes]:
        for piece in pieces(path, CHUNK_BYTES):
            if over():
                raise StoppedError("stopped")
            yield piece

    return with_proofs(file, read())


def pieces(path: Path, size: int) -> Iterator[bytes]:
    """The file at `path` in pieces of `size` bytes, the last one smaller; nobody wrote to it meanwhile.

    Raises:
        StorageError: it cannot be read, or it changed; one that grows has an end all the same.
    """
    with storage(path), path.open("rb") as stream:
        before, seen = os.fstat(stream.fileno()), 0
        while seen <= before.st_size and (piece := stream.read(size)):
            seen += len(piece)
            yield piece
        # By its name: it may have been replaced, and then what was read is nobody's any more.
        if seen != before.st_size or _mark(path.stat()) != _mark(before):
            raise StorageError(path, "changed while it was read; try again when nobody writes to it")


def _ours_or_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold().endswith(OWN_SUFFIXES)


def _problem(path: Path, root: Path) -> str | None:
    with storage(path):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return None
        if not stat.S_ISLNK(mode):
            return "is neither a file nor a folder"
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
            return "is a symbolic link to nothing"
        if not target.is_relative_to(root):
            return f"is a symbolic link out of the folder, to {target}"
        return None if target.is_file() else "is a symbolic link to what is no file"


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _raise(error: OSError) -> NoReturn:
    raise StorageError.from_os(error, Path(error.filename))
