"""A file that is wanted, with all that sources need to name it. Pure.

Exclusions: who the sources are, and what URL they have for it (`sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fallback.manifest import File, Model


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, and what sources need to name it. `ipfs_path` is `cid` or `cid/path`, unquoted."""

    model: Model
    file: File
    ipfs_path: str | None = None

    def __str__(self) -> str:
        return f"{self.model.name}/{self.file.path}"


def ipfs_path(model: Model, file: File, known_cid: str | None = None) -> str | None:
    """The file's path under a gateway's `/ipfs/`, or None.

    The model's folder CID and the path below it, else the file's own CID, else `known_cid`: the
    newest that the database knows for the model.
    """
    if model.ipfs is not None:
        return "/".join(part for part in (model.ipfs.cid, model.ipfs.path, file.path) if part)
    if file.cid is not None:
        return file.cid
    return f"{known_cid}/{file.path}" if known_cid else None
