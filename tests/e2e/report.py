"""What the acts came to: a table for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SHOWN = 4
"""Failures of an act that the table shows: the first is the cause, later ones mostly follow from it."""


@dataclass(frozen=True)
class Result:
    """One act: `seconds` are the engine's own, `bytes_by_source` and `requests` by server as the journal has them."""

    act: int
    name: str
    passed: bool
    seconds: float
    bytes_by_source: Mapping[str, int]
    requests: Mapping[str, int]
    checks: int
    failures: Sequence[str]

    @property
    def mb_per_s(self) -> float:
        """Megabytes that servers sent, wrong ones too, for each second."""
        return sum(self.bytes_by_source.values()) / 1e6 / self.seconds if self.seconds else 0.0


def table(results: Sequence[Result]) -> str:
    """Fixed columns, one line an act, and below it what failed."""
    lines = [f"{'act':<46} {'result':<6} {'seconds':>7} {'MB/s':>6} {'requests':>8}  MB by source"]
    for result in results:
        sources = ", ".join(
            f"{name} {sent / 1e6:.1f}" for name, sent in result.bytes_by_source.items() if sent >= 50_000
        )
        lines.append(
            f"{f'{result.act} {result.name}':<46} {'ok' if result.passed else 'FAILED':<6} {result.seconds:>7.2f} "
            f"{result.mb_per_s:>6.0f} {sum(result.requests.values()):>8}  {sources or '-'}"
        )
    for result in results:
        lines += [f"act {result.act} failed: {failure}" for failure in result.failures[:SHOWN]]
        if len(result.failures) > SHOWN:
            lines.append(
                f"act {result.act} failed: … and {len(result.failures) - SHOWN} more, in the JSON file"
            )
    return "\n".join(lines)


def write(path: Path, results: Sequence[Result], *, size: str, seconds: float) -> None:
    """The same as JSON; makes the folder."""
    document = {
        "passed": all(result.passed for result in results),
        "size": size,
        "seconds": round(seconds, 2),
        "python": platform.python_version(),
        "acts": [dataclasses.asdict(result) | {"mb_per_s": round(result.mb_per_s, 1)} for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
