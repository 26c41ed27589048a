"""A picture of each scenario: wall time by client, the proof of the bytes set apart.

Exclusions: no figure is made here. Needs matplotlib (extra `bench`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.report import Figures, Row

OURS, THEIRS, PROOF = "#1a7f64", "#8a93a3", "#cfd5de"


def draw(figures: Figures, whats: Mapping[str, str], folder: Path) -> list[Path]:
    """An SVG a scenario that has more than one entry; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same figures give the same bytes: no date, no random ids.
    mpl.rcParams.update({"svg.hashsalt": "fallback", "svg.fonttype": "none", "font.family": "sans-serif"})
    return [
        _scenario(name, whats[name], entries, folder / f"{name}.svg")
        for name, entries in figures.items()
        if len(entries) > 1
    ]


def _scenario(name: str, what: str, entries: Mapping[str, Row], to: Path) -> Path:
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.36 * len(entries)), layout="constrained")
    names = list(entries)[::-1]
    bare = [entries[each]["bare_seconds"] for each in names]
    proof = [entries[each]["verify_seconds"] for each in names]
    ours = next(iter(entries))
    colours = [OURS if each.startswith(ours) else THEIRS for each in names]
    synced = ", and fsync where it says so" if any(each.endswith("+ fsync") for each in names) else ""
    axes.barh(names, bare, color=colours)
    axes.barh(names, proof, left=bare, color=PROOF, label=f"SHA-256 by openssl afterwards{synced}")
    for place, each in enumerate(names):
        row = entries[each]
        ratio = "" if each == ours else f" (ours/theirs {row['ours_over_theirs']:.2f})"
        told, at = f"{row['seconds']:.2f} s{ratio}", (row["seconds"], place)
        axes.annotate(told, at, (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, max(row["seconds"] for row in entries.values()) * 1.35)
    axes.set_title(f"{name}: {what}", loc="left", fontsize=10)
    axes.set_xlabel("wall seconds (median)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    if any(proof):
        figure.legend(loc="outside lower right", fontsize=8, frameon=False)
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)
    return to
