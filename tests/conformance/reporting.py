"""The table at the end of a run, and report.json and report.html of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .case import LEVELS, all_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GOOD = frozenset({"pass", "na", "no", "skipped", "xfail"})


def finish(
    told: Sequence[dict[str, Any]], client: str, folder: str | None, write: Callable[[str], None]
) -> None:
    """Print the table; write the reports if a folder is given."""
    order = {name: number for number, name in enumerate(all_cases())}
    cases = sorted(told, key=lambda each: order.get(each["id"], len(order)))
    document = {"protocol": 1, "client": client, "counts": counts(cases), "cases": cases}
    for line in table(client, cases):
        write(line)
    if folder is not None:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "report.json").write_text(json.dumps(document, indent=1) + "\n")
        write(f"reports: {path / 'report.json'}")


def counts(cases: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many of each level came out how."""
    told = list(cases)
    return {
        level: dict(Counter(case["result"] for case in told if case["level"] == level)) for level in LEVELS
    }


def table(client: str, cases: Sequence[dict[str, Any]]) -> Iterable[str]:
    """A line a group, then the failures."""
    yield ""
    yield f"conformance of {client}: {len(cases)} cases"
    columns = ("pass", "fail", "xfail", "xpass", "na", "no", "skipped")
    yield f"{'group':<14}" + "".join(f"{column:>9}" for column in columns)
    for group in dict.fromkeys(case["group"] for case in cases):
        found = Counter(case["result"] for case in cases if case["group"] == group)
        yield f"R-{group:<12}" + "".join(f"{found[column] or '':>9}" for column in columns)
    found = Counter(case["result"] for case in cases)
    yield f"{'all':<14}" + "".join(f"{found[column] or '':>9}" for column in columns)
    for case in cases:
        if case["result"] not in GOOD:
            yield f"{case['result']} {case['id']} ({case['level']}) {case['requirement']}"
            for problem in case["problems"]:
                yield f"    {problem}"
