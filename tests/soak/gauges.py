"""What must stay flat: memory, objects (which an allocator does not blur), file descriptors, threads, and what lies on disk."""

from __future__ import annotations

import gc
import os
import statistics
import threading
from dataclasses import astuple, dataclass, fields
from pathlib import Path

RSS_KIB, OBJECTS, FEW, STATE_BYTES = 12 << 10, 1000, 2, 512 << 10
"""How much more there may be in the last third than in the second: what an allocator and SQLite's pages move by."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """One look, while nothing is under way."""

    rss_kib: int
    objects: int
    descriptors: int
    threads: int
    state_bytes: int
    files: int

    @classmethod
    def read(cls, models_dir: Path) -> Gauges:
        """Of this process, and of a models folder with its state."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found = [path for path in models_dir.rglob("*") if path.is_file()]
        state = sum(path.stat().st_size for path in found if path.parent.name == ".fallback")
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE") >> 10,
            len(gc.get_objects()),
            len(list(Path("/proc/self/fd").iterdir())),
            threading.active_count(),
            state,
            len(found),
        )


def growth(seen: list[Gauges]) -> dict[str, float]:
    """What the last third has more than the second, by medians: the first is spent warming up."""
    third = len(seen) // 3
    middle, last = seen[third : 2 * third], seen[2 * third :]
    return {
        field.name: statistics.median(astuple(each)[at] for each in last)
        - statistics.median(astuple(each)[at] for each in middle)
        for at, field in enumerate(fields(Gauges))
    }


def assert_flat(seen: list[Gauges]) -> None:
    """Nothing grew."""
    grown = growth(seen)
    assert grown["rss_kib"] < RSS_KIB, (grown, seen)
    assert grown["objects"] < OBJECTS, (grown, seen)
    assert grown["descriptors"] <= FEW, (grown, seen)
    assert grown["threads"] <= FEW, (grown, seen)
    assert grown["state_bytes"] < STATE_BYTES, (grown, seen)
    assert grown["files"] <= FEW, (grown, seen)
