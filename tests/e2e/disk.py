"""What is in a models folder, read byte by byte and held against a manifest. Knows nothing of how it got there."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.catalogue import targets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWN = (".fallback", ".manifests.json", ".metrics.json")
"""What the engine may keep directly in the models folder, beside the models."""


@dataclass(frozen=True)
class Disk:
    """Paths relative to the models folder, sorted: files that are right, that have other bytes, that are not there, that
    nobody asked for, partials and their ledgers (hidden, beside a target, never under a final name), and what the engine
    set aside.
    """

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    strange: tuple[str, ...]
    partials: tuple[str, ...]
    set_aside: tuple[str, ...]


def examine(folder: Path, manifest: Mapping[str, Any]) -> Disk:
    """Read the whole folder."""
    wanted = targets(manifest)
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and path.relative_to(folder).parts[0] not in OWN
    }
    right = {name for name in wanted.keys() & present if is_right(folder / name, wanted[name])}
    others = present - wanted.keys()
    partials = {name for name in others if _is_partial(name)}
    set_aside = {name for name in others if name.endswith(".bak")}
    return Disk(
        right=tuple(sorted(right)),
        wrong=tuple(sorted(wanted.keys() & present - right)),
        missing=tuple(sorted(wanted.keys() - present)),
        strange=tuple(sorted(others - partials - set_aside)),
        partials=tuple(sorted(partials)),
        set_aside=tuple(sorted(set_aside)),
    )


def is_right(path: Path, file: Mapping[str, Any]) -> bool:
    """Whether every byte of it is the manifest's."""
    # A link is not the file, whatever it points at.
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file["size"]:
        return False
    return sha256(path) == str(file["sha256"])


def sha256(path: Path) -> str:
    """The digest of its bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def partial_sizes(folder: Path) -> dict[str, int]:
    """How many bytes are kept of files on their way, by the file's name; the engine may be at work on them."""
    sizes: dict[str, int] = {}
    for path in folder.rglob(".*.partial"):
        with contextlib.suppress(FileNotFoundError):  # it has just got its final name, or a new owner
            name = path.name[1:].rsplit(".", 1)[0]
            sizes[name] = path.stat().st_size
    return sizes


def _is_partial(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith(".") and base.endswith((".partial", ".ledger"))
