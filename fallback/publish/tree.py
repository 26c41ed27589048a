"""The DAG of a file or folder on this machine: its root CID, and every file's.

Hidden names and our own are left out, as IPIP-499's profiles have it; a symbolic link is refused or
followed as for a manifest (`folder`). Files are read in constant memory, several at a time if nobody
takes their blocks. Exclusions: nothing is sent anywhere and nothing is written.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from fallback import folder as folders
from fallback.errors import ManifestError, StorageError
from fallback.ipfs import building

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fallback.ipfs.building import Built, Sink
    from fallback.ipfs.unixfs import Profile


@dataclass(frozen=True, slots=True)
class Tree:
    """A DAG's root, and the files in it by their paths below it ("" for the root itself if it is one)."""

    root: Built
    files: Mapping[str, Built]
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class _Folder:
    folders: dict[str, _Folder] = field(default_factory=dict)
    files: dict[str, Built] = field(default_factory=dict)


def of_path(path: Path, profile: Profile, sink: Sink = building.nowhere) -> Tree:
    """The DAG of the file or folder at `path`.

    Raises:
        ManifestError: a symbolic link leads out of the folder, or something in it is neither file nor folder.
        StorageError: a file cannot be read, or changed while it was; or `path` is neither.
    """
    path = path.resolve()
    if not path.is_dir():
        if path.exists() and not path.is_file():
            raise StorageError(path, "is neither a file nor a folder")
        built = _built(path, profile, sink)
        return Tree(built, {"": built})
    listing = folders.listed(path, folders.included(()))
    if listing.problems:
        raise ManifestError(f"of {path}", listing.problems)
    files = {name: path / name for name in listing.files}
    made = of_files(files, profile, sink, folders=listing.folders)
    return Tree(made.root, made.files, listing.left_out)


def of_files(
    files: Mapping[str, Path],
    profile: Profile,
    sink: Sink = building.nowhere,
    *,
    folders: tuple[str, ...] = (),
) -> Tree:
    """The DAG of a folder of these files by their paths in it, and of `folders` that may be empty.

    Raises:
        StorageError: a file cannot be read, or changed while it was.
    """
    # Blocks of several files at once would be no order that anybody could read in.
    workers = os.cpu_count() or 1 if sink is building.nowhere else 1
    with ThreadPoolExecutor(workers) as pool:
        work = partial(_built, profile=profile, sink=sink)
        built = dict(zip(files, pool.map(work, files.values()), strict=True))
    top = _Folder()
    for name in folders:
        _folder(top, name.split("/"))
    for name, each in built.items():
        *above, last = name.split("/")
        _folder(top, above).files[last] = each
    return Tree(_directory(top, profile, sink), built)


def _folder(top: _Folder, names: list[str]) -> _Folder:
    for name in names:
        top = top.folders.setdefault(name, _Folder())
    return top


def _directory(top: _Folder, profile: Profile, sink: Sink) -> Built:
    """Each folder after those in it, without recursion: there may be more on the way than Python has room for."""
    found = [top]
    for folder in found:
        found.extend(folder.folders.values())
    built: dict[int, Built] = {}
    for folder in reversed(found):
        below = {name: built[id(each)] for name, each in folder.folders.items()}
        built[id(folder)] = building.directory({**folder.files, **below}, profile, sink)
    return built[id(top)]


def _built(path: Path, profile: Profile, sink: Sink) -> Built:
    return building.from_chunks(folders.pieces(path, profile.chunk), profile, sink)
