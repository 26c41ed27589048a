"""What is in a models folder, read byte by byte and held against a manifest. Knows nothing of how it got there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OWN = (".fallback", ".manifests.json", ".metrics.json")
"""What the engine may keep directly in the models folder, beside the models."""


@dataclass(frozen=True)
class Disk:
    """Paths relative to the models folder, sorted: files that are right, that have other bytes, that are not there, that
    nobody asked for, and partials (hidden, beside a target, never under a final name).
    """

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    strange: tuple[str, ...]
    partials: tuple[str, ...]


def targets(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every file's entry in the manifest, by its path below the models folder."""
    return {
        f"{model['dir']}/{path}": file for model in manifest.values() for path, file in model["files"].items()
    }


def total_bytes(manifest: Mapping[str, Any]) -> int:
    """The sum of all sizes."""
    return sum(file["size"] for file in targets(manifest).values())


def examine(folder: Path, manifest: Mapping[str, Any]) -> Disk:
    """Read the whole folder."""
    wanted = targets(manifest)
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and path.relative_to(folder).parts[0] not in OWN
    }
    right = {name for name in wanted.keys() & present if _is_right(folder / name, wanted[name])}
    others = present - wanted.keys()
    partials = {name for name in others if _is_partial(name)}
    return Disk(
        right=tuple(sorted(right)),
        wrong=tuple(sorted(wanted.keys() & present - right)),
        missing=tuple(sorted(wanted.keys() - present)),
        strange=tuple(sorted(others - partials)),
        partials=tuple(sorted(partials)),
    )


def _is_right(path: Path, file: Mapping[str, Any]) -> bool:
    # A link is not the file, whatever it points at.
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file["size"]:
        return False
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return bool(digest == file["sha256"])


def _is_partial(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith(".") and base.endswith(".partial")
