"""An earlier run's bench.json: read, and held against what is made of it, so that nothing later stumbles over a gap.

Exclusions: how one is made (`report`), and whether it may stand beside today's figures (`asked`).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEAT = 7
"""Runs of which a median is worth keeping."""

COLUMNS = (
    "seconds",
    "verify_seconds",
    "bare_seconds",
    "ours_over_theirs",
    "cpu_seconds",
    "peak_rss_mb",
    "bytes",
    "wire_bytes",
    "requests",
)
"""What of a row must be a number. `files` came later: goals that need it are not measured without."""


def read(path: str) -> dict[str, Any]:
    """A bench.json; of scenarios that are no more, nothing. ArgumentTypeError if it is none, with the place in it."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        document = None
    problem = next(_problems(document), None)
    if problem is not None:
        raise argparse.ArgumentTypeError(f"{path}: that is no bench.json of an earlier run: {problem}")
    figures = {name: document["figures"][name] for name in SCENARIOS if name in document["figures"]}
    seldom = f"repeated {document['repeat']} times"
    partial = document.get("partial", dict.fromkeys(figures, seldom) if document["repeat"] < REPEAT else {})
    return {key: document[key] for key in ("machine", "size", "repeat")} | {
        "partial": {name: why for name, why in partial.items() if name in figures},
        "figures": figures,
    }


def _problems(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "it is no JSON object"
        return
    if not isinstance(document.get("machine"), dict):
        yield "machine is no object"
    if document.get("size") not in ("full", "small"):
        yield "size is neither full nor small"
    if not isinstance(document.get("repeat"), int) or document["repeat"] < 1:
        yield "repeat is no number of times"
    partial = document.get("partial", {})
    if not isinstance(partial, dict) or not all(isinstance(why, str) for why in partial.values()):
        yield "partial is no object of texts"
    figures = document.get("figures")
    if not isinstance(figures, dict):
        yield "figures is no object"
        return
    for name, scenario in SCENARIOS.items():
        if name in figures:
            yield from _of_scenario(f"figures.{name}", figures[name], scenario.clients[0])


def _of_scenario(where: str, entries: object, ours: str) -> Iterator[str]:
    if not isinstance(entries, dict) or next(iter(entries), None) != ours:
        yield f"{where} does not begin with {ours}"
        return
    for name, row in entries.items():
        if not isinstance(row, dict):
            yield f"{where}.{name} is no object"
            continue
        each = row.get("seconds_each")
        if not isinstance(each, list) or not each or not all(map(_is_number, each)):
            yield f"{where}.{name}.seconds_each is no list of numbers"
        yield from (f"{where}.{name}.{key} is no number" for key in COLUMNS if not _is_number(row.get(key)))
        bare = row.get("ours_over_bare", "")
        if bare is not None and not _is_number(bare):
            yield f"{where}.{name}.ours_over_bare is neither a number nor null"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
