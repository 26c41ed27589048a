"""What every run tells, also one that finds all files here: the events that a warm start cannot do without.

They are public as `fallback.events`, where all others are: a class of each takes longer to make than
such a run has to look at a file. Exclusions: as there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LayerName = Literal["cache", "peer", "ipfs", "huggingface", "bundle", "mirror", "pin"]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact."""

    @property
    def kind(self) -> str:
        """The event's name on the wire: such as `cache_hit`."""
        return re.sub(r"(?<=.)(?=[A-Z])", "_", type(self).__name__).lower()


@dataclass(frozen=True, slots=True)
class FileEvent(Event):
    """A fact about one file: `path` relative to its model's folder."""

    model: str
    path: str


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins, with so many files and bytes in its manifest."""

    files: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something a person should know and the run survives."""

    message: str


@dataclass(frozen=True, slots=True)
class CacheHit(FileEvent):
    """The file is here and proven; nothing is requested."""

    size: int


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The run is over: how many files are right, and how many are not."""

    files: int
    failed: int
    bytes_received: int
    seconds: float
    stopped: bool = False


Observer = Callable[[Event], None]
