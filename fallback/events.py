"""What happens, told as facts: one frozen dataclass each. An observer gets every one.

An `Observer` is any callable that takes an event; it is called from worker threads, one call at a
time. Progress bars, metrics and the JSON lines of the CLI are observers, and the engine knows none
of them. `engine_progress` is the shape of DESIGN.md ("Engine progress") that the original's
callers read; `as_json` is that shape plus all of the event's own fields.

Exclusions: no event holds a token or the query of a URL, and none is needed to get a file: a
failing observer is dropped and the sync goes on (P11).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from fallback.facts import CacheHit, Event, FileEvent, LayerName, Observer, RunEnded, RunStarted, Warned

__all__ = [
    "AttemptEnded",
    "AttemptEvent",
    "AttemptStarted",
    "Blamed",
    "CacheHit",
    "Event",
    "FileCompleted",
    "FileEvent",
    "FileFailed",
    "LayerName",
    "Listed",
    "Observer",
    "Progressed",
    "Published",
    "Quarantined",
    "RunEnded",
    "RunStarted",
    "Uploading",
    "Waiting",
    "Warned",
    "as_json",
    "engine_progress",
]


@dataclass(frozen=True, slots=True)
class Listed(FileEvent):
    """The file is in the manifest that is being made."""

    size: int


@dataclass(frozen=True, slots=True)
class Quarantined(FileEvent):
    """What stood in the file's place was not the file; it was set aside under the name `kept`."""

    kept: str
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEvent(FileEvent):
    """A fact about one request to one source (its host, with the port if it has one)."""

    layer: LayerName
    source: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptStarted(AttemptEvent):
    """A source is asked; `offset` bytes are here already."""

    offset: int


@dataclass(frozen=True, slots=True)
class Progressed(AttemptEvent):
    """Bytes arrived. `downloaded` counts from the file's first byte; bytes/s, seconds."""

    downloaded: int
    total: int | None
    rate_bytes_s: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class AttemptEnded(AttemptEvent):
    """An attempt is over: `outcome` is `delivered` or what went wrong; `bytes_received` of a body."""

    outcome: str
    reason: str
    bytes_received: int
    bytes_total: int | None
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether bytes of the file came, and nothing was wrong: also of one that was outrun after a while."""
        return self.outcome in {"delivered", "part_delivered"} or (
            self.outcome == "outrun" and self.bytes_received > 0
        )

    @property
    def is_error(self) -> bool:
        """Whether something went wrong; one that was outrun before its first byte is neither right nor wrong."""
        return not self.ok and self.outcome != "outrun"


@dataclass(frozen=True, slots=True)
class Blamed(FileEvent):
    """So many chunks were proven wrong, and `source` had sent them: in this attempt, or (`earlier`) in one before."""

    layer: LayerName
    source: str
    chunks: int
    earlier: bool


@dataclass(frozen=True, slots=True)
class Waiting(FileEvent):
    """Nobody can be asked for `seconds`; then `source` will be."""

    source: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class FileCompleted(FileEvent):
    """The file has its final name and is right."""

    layer: LayerName
    source: str
    size: int
    bytes_received: int
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FileFailed(FileEvent):
    """The file could not be had: each source's reason, or what this machine's disk said."""

    error: str
    attempts: int
    seconds: float
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Uploading(FileEvent):
    """So many bytes of the model (`path` is its name, too) have gone to `target`; bytes/s."""

    target: str
    sent: int
    total: int
    rate_bytes_s: float


@dataclass(frozen=True, slots=True)
class Published(FileEvent):
    """`target` has the model under this CID, of this profile; where gateways should have it."""

    target: str
    cid: str
    profile: str
    urls: tuple[str, ...]


def engine_progress(event: Event) -> dict[str, Any] | None:
    """The event in the original's callback shape; None where that shape has no word for it."""
    match event:
        case CacheHit():
            return {"layer": "cache", "status": "hit"}
        case AttemptStarted():
            return _at(event) | {"attempt": event.attempt, "status": "attempting"}
        case Progressed(downloaded=downloaded, total=total):
            return _at(event) | {
                "status": "downloading",
                "downloaded": downloaded,
                "total": total,
                "percent": _percent(downloaded, total),
                "speed": event.rate_bytes_s,
                "eta": event.eta_s,
            }
        case FileCompleted():
            return {"layer": event.layer, "status": "success"}
        case AttemptEnded() if event.is_error:
            return _at(event) | {"attempt": event.attempt, "status": "error", "error": event.reason}
        case FileFailed():
            return {"status": "error", "error": event.error}
        case _:
            return None


def as_json(event: Event) -> dict[str, Any]:
    """The event as JSON: `event`, its own fields, and the keys of `engine_progress`."""
    return {"event": event.kind, **dataclasses.asdict(event), **(engine_progress(event) or {})}


def _at(event: AttemptEvent) -> dict[str, Any]:
    where: dict[str, Any] = {"layer": event.layer}
    return where | {"gateway": event.source} if event.layer in {"ipfs", "peer"} else where


def _percent(downloaded: int, total: int | None) -> float | None:
    if total is None:
        return None
    return round(100 * downloaded / total, 2) if total else 100.0
