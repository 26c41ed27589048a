"""What became of files: of one that is here and right, of one that could not be had, of a whole run.

Exclusions: how any of it came about (`download`, `engine`), and how it is shown (`cli`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallback.facts import LayerName


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file; `bytes_received` over all attempts, `seconds` of wall time."""

    model: str
    path: str
    layer: LayerName
    source: str
    size: int
    bytes_received: int = 0
    attempts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that could not be had: each source's reason, or what the disk said."""

    model: str
    path: str
    error: str
    reasons: tuple[tuple[str, str], ...] = ()
    storage: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to; seconds of wall time."""

    files: tuple[FileResult, ...]
    failures: tuple[FileFailure, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every file is here and right."""
        return not self.failures

    @property
    def bytes_received(self) -> int:
        """Bytes of bodies over all attempts that ended in a file."""
        return sum(file.bytes_received for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON."""
        return asdict(self) | {"ok": self.ok, "bytes_received": self.bytes_received}
