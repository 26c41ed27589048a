"""What the figures are to be: ratios within one run, and bounds that a setting promises. Nothing fails for missing one.

Each goal takes its value from the figures of one or two scenarios, and has none where they were not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.job import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.report import Figures, Row

MIB = 1 << 20
RSS_MB = 70


@dataclass(frozen=True)
class Goal:
    """`value` of the figures, at most `most`."""

    what: str
    most: float
    value: Callable[[Figures], float]


@dataclass(frozen=True)
class Reached:
    """A goal, and what was measured; None if its scenarios or clients were not."""

    goal: Goal
    value: float | None

    @property
    def is_met(self) -> bool:
        """Whether it was measured and is no more than it may be."""
        return self.value is not None and self.value <= self.goal.most


def reached(figures: Figures) -> Iterator[Reached]:
    """Every goal."""
    for goal in GOALS:
        try:
            value = goal.value(figures)
        except (KeyError, ZeroDivisionError):  # not measured, or too short to be
            yield Reached(goal, None)
        else:
            yield Reached(goal, value)


def _ours(figures: Figures, scenario: str) -> Row:
    return next(iter(figures[scenario].values()))


def _wall(scenario: str, theirs: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[scenario][theirs]["ours_over_theirs"])


def _bare(scenario: str, theirs: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[scenario][theirs]["ours_over_bare"])


def _cpu(scenario: str, theirs: str) -> Callable[[Figures], float]:
    return lambda figures: _ours(figures, scenario)["cpu_seconds"] / figures[scenario][theirs]["cpu_seconds"]


def _over(ours: str, theirs: str, each: Callable[[Row], float]) -> Callable[[Figures], float]:
    return lambda figures: each(_ours(figures, ours)) / each(_ours(figures, theirs))


def _beyond(ours: str, theirs: str) -> Callable[[Figures], float]:
    return lambda figures: _ours(figures, ours)["seconds"] - _ours(figures, theirs)["seconds"]


def _seconds(row: Row) -> float:
    return float(row["seconds"])


def _per_file(row: Row) -> float:
    return float(row["seconds"] / row["files"])


def _per_byte(row: Row) -> float:
    return float(row["seconds"] / row["bytes"])


GOALS = (
    Goal("cold / curl -Z, openssl -P2, fsync: wall", 0.8, _wall("cold", "curl -Z + fsync")),
    Goal("cold / curl -Z alone, unverified: wall", 1.1, _bare("cold", "curl -Z")),
    Goal("cold / aria2c -j4 with checksums: wall", 0.25, _wall("cold", "aria2c")),
    Goal("cold / huggingface_hub, verified: wall", 0.5, _wall("cold", "huggingface_hub")),
    Goal("cold / pooch: wall", 0.4, _wall("cold", "pooch")),
    Goal("cold / curl -Z, openssl: CPU of the client", 1.1, _cpu("cold", "curl -Z")),
    Goal("cold from nginx / curl -Z, openssl -P2, fsync: wall", 0.8, _wall("cold-nginx", "curl -Z + fsync")),
    Goal("cold from nginx / curl -Z alone, unverified: wall", 1.1, _bare("cold-nginx", "curl -Z")),
    Goal("cold from nginx / curl -Z, openssl: CPU of the client", 1.1, _cpu("cold-nginx", "curl -Z")),
    Goal("verify / openssl -P2: wall", 1.3, _wall("verify", "openssl -P2")),
    Goal("warm in process / cold: wall", 1 / 150, _over("warm", "cold", _seconds)),
    Goal(
        "warm-cli / python3 -c 'import click, sqlite3': wall",
        1.5,
        _wall("warm-cli", "python3 -c import"),
    ),
    Goal(
        "first gateway hangs: extra wall, s", 1 * PATIENCE_S, _beyond("first-gateway-hangs", "healthy")
    ),
    Goal("three gateways hang: extra wall, s", 3 * PATIENCE_S, _beyond("three-gateways-hang", "healthy")),
    Goal(
        "one corrupt byte in the largest file: extra MiB",
        2,
        lambda figures: (
            (row := _ours(figures, "first-gateway-corrupts-one-byte"))["wire_bytes"] - row["bytes"]
        )
        / MIB,
    ),
    Goal(
        "100 MB, four gateways of 8 MB/s / one of them: wall",
        0.3,
        _wall("gateways-capped-8MBps", "fallback on one gateway"),
    ),
    Goal("100 MB, four gateways of 8 MB/s / aria2c: wall", 1.0, _wall("gateways-capped-8MBps", "aria2c")),
    Goal("10k small files / curl -Z, unverified: wall", 4, _bare("10k-small-files", "curl -Z")),
    Goal(
        "10k small files / huggingface_hub, verified: wall",
        0.2,
        _wall("10k-small-files", "huggingface_hub"),
    ),
    Goal("cold: peak MB", RSS_MB, lambda figures: float(_ours(figures, "cold")["peak_rss_mb"])),
    Goal("one file of 5 GB: peak MB", RSS_MB, lambda figures: float(_ours(figures, "one-5-GB-file")["peak_rss_mb"])),
    Goal(
        "wall per file, 10k / 1k files",
        1.2,
        _over("10k-small-files", "1k-small-files", _per_file),
    ),
    Goal("wall per GB, 5 / 1 GB", 1.2, _over("one-5-GB-file", "one-1-GB-file", _per_byte)),
)  # fmt: skip
