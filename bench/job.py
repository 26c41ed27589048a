"""What a client is to do: files by path, where they are to be had, and where they belong.

Exclusions: how a client is told (`clients`), and what is wrong with the servers (`scenarios`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fakes.catalogue import targets, total_bytes
from fallback import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

JOBS = 4
"""Files at a time, for every client that can."""

PATIENCE_S = Settings().patience_s
"""The engine's own, for it is run without settings of the user's (`process`)."""


@dataclass(frozen=True)
class Job:
    """The files of `manifest` to have in `folder`, from `gateways` in this order, or from `hub`."""

    manifest: Mapping[str, Any]
    manifest_path: Path
    folder: Path
    gateways: Sequence[str]
    hub: str
    patience_s: float = PATIENCE_S
    """After how long without an answer a client that knows of another source is to ask that."""
    tries: int = 1
    """How often a client that can be told so is to ask one source for one file."""

    def urls(self, gateway: str) -> dict[Path, str]:
        """Each file's URL at a gateway, by where it belongs."""
        return {
            self.folder / model["dir"] / path: f"{gateway}/ipfs/{model['ipfs']['cid']}/{quote(path)}"
            for model in self.manifest.values()
            for path in model["files"]
        }

    def sources(self) -> dict[Path, list[str]]:
        """Each file's URLs at all gateways, in order."""
        listed = [self.urls(gateway) for gateway in self.gateways]
        return {path: [urls[path] for urls in listed] for path in listed[0]}

    def sha256(self) -> dict[Path, str]:
        """What each file's bytes must be, in hex."""
        return {self.folder / path: str(file["sha256"]) for path, file in targets(self.manifest).items()}

    def sizes(self) -> dict[Path, int]:
        """Bytes of each file."""
        return {self.folder / path: int(file["size"]) for path, file in targets(self.manifest).items()}

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return total_bytes(self.manifest)

    def beside(self, name: str) -> Path:
        """A file for the client's own use, outside the folder."""
        return self.folder.with_name(name)

    def is_half_there(self) -> bool:
        """Whether half of the bytes are on disk, under whatever name: blocks, for some reserve a file's size at once."""
        held = 0
        for path in self.folder.rglob("*"):
            try:
                held += path.stat().st_blocks * 512
            except FileNotFoundError:  # it has just got another name
                continue
        return held * 2 >= self.total_bytes
