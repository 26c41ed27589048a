"""Medians, ratios and goals of what was measured; a table for people, JSON for machines, a comparison with an earlier one.

Exclusions: pictures are `charts`', the machine's description is `machine`'s.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.goals import Reached
    from bench.process import Measured

LEFT_BYTES = 1 << 20
"""More than the figures and charts of all scenarios take."""

Row = dict[str, Any]
Figures = dict[str, dict[str, Row]]
"""By scenario, then by entry; the first entry of a scenario is the engine."""


def rows(measured: Mapping[str, Sequence[Measured]], total_bytes: int, files: int = 1) -> dict[str, Row]:
    """Medians of one scenario's entries; a ratio below 1 means that the engine, who is first, took less time.

    `ours_over_theirs` counts the proof of the bytes that a client needs another program for, `ours_over_bare` does not.
    """
    ours = statistics.median(one.seconds for one in next(iter(measured.values())))
    return {name: _row(runs, ours, total_bytes) | {"files": files} for name, runs in measured.items()}


def beside(new: Mapping[str, Row], left: Mapping[str, Row], order: Sequence[str]) -> dict[str, Row]:
    """What was measured anew, and what is left of an earlier run, in this order."""
    both = {**left, **new}
    return {name: both[name] for name in order if name in both}


def _row(runs: Sequence[Measured], ours: float, total_bytes: int) -> Row:
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    bare = statistics.median(run.seconds - run.verify_seconds for run in runs)
    return {
        "seconds": round(median, 4),
        "seconds_each": [round(each, 4) for each in seconds],
        "verify_seconds": round(statistics.median(run.verify_seconds for run in runs), 4),
        "bare_seconds": round(bare, 4),
        "ours_over_theirs": round(ours / median, 3),
        "ours_over_bare": round(ours / bare, 3) if bare > 0 else None,
        "cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 4),
        "peak_rss_mb": round(max(run.peak_rss_bytes for run in runs) / 1e6, 1),
        "bytes": total_bytes,
        "wire_bytes": round(statistics.median(run.wire_bytes for run in runs)),
        "requests": round(statistics.median(run.requests for run in runs)),
    }


def table(scenario: str, what: str, entries: Mapping[str, Row]) -> str:
    """Fixed columns, a line an entry; `of` so many runs; `verify` is the part of the wall time that came after the client.

    That is another program's proof of the bytes, and where the entry says so, fsync.
    """
    columns = f"{'wall s':>8}{'min':>8}{'max':>8}{'of':>4}{'verify':>8}{'cpu s':>8}{'peak MB':>9}{'wire MB':>9}{'requests':>9}"
    lines = [f"{scenario}: {what}", f"  {'':<24}{columns}{'ours/theirs':>12}{'/bare':>7}"]
    for number, (name, row) in enumerate(entries.items()):
        each = row["seconds_each"]
        ratios = "-" if number == 0 else f"{row['ours_over_theirs']:.2f}"
        bare = (
            f"{row['ours_over_bare']:.2f}"
            if number and row["verify_seconds"] and row["ours_over_bare"]
            else ""
        )
        verify = f"{row['verify_seconds']:.3f}" if row["verify_seconds"] else "-"
        lines.append(
            f"  {name:<24}{row['seconds']:>8.3f}{min(each):>8.3f}{max(each):>8.3f}{len(each):>4}{verify:>8}{row['cpu_seconds']:>8.2f}"
            f"{row['peak_rss_mb']:>9.1f}{row['wire_bytes'] / 1e6:>9.1f}{row['requests']:>9}{ratios:>12}{bare:>7}"
        )
    lines += [f"  {name}: its verify has the fsync in it" for name in entries if name.endswith("+ fsync")]
    return "\n".join(lines)


def goal_table(reached: Sequence[Reached]) -> str:
    """Each goal beside what was measured; of goals whose scenarios were left out, how many there are."""
    lines, met = [f"{'goal':<74}{'at most':>9}{'measured':>10}"], 0
    for one in reached:
        if one.value is not None:
            met += one.is_met
            verdict = "met" if one.is_met else "NOT MET"
            lines.append(f"{one.goal.what:<74}{one.goal.most:>9.4g}{one.value:>10.4g}   {verdict}")
    told, left = len(lines) - 1, len(reached) - len(lines) + 1
    return "\n".join([*lines, f"{met} of {told} goals are met" + f"; {left} were not measured" * (left > 0)])


def against(baseline: Figures, figures: Figures) -> str:
    """What the ratios of an earlier run have become: only ratios may be compared between machines."""
    lines = [f"{'scenario':<34}{'ours / …':<26}{'then':>8}{'now':>8}{'now/then':>10}"]
    for scenario, entries in figures.items():
        for name, row in list(entries.items())[1:]:
            then = baseline.get(scenario, {}).get(name)
            if then is not None:
                was, now = then["ours_over_theirs"], row["ours_over_theirs"]
                ratio = f"{now / was:>10.2f}" if was else f"{'-':>10}"
                lines.append(f"{scenario:<34}{name:<26}{was:>8.2f}{now:>8.2f}{ratio}")
    return "\n".join(lines)


def write(path: Path, document: Mapping[str, Any]) -> None:
    """As JSON; makes the folder. What was there stays until all of it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(json.dumps(document, indent=2) + "\n")
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def probe(folder: Path) -> None:
    """Make the folder, and see that what a run leaves has room there; OSError if not. Leaves nothing but the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(LEFT_BYTES))
