"""What is said at the end of a run: the table, report.json, report.html. Also reports of several clients as one page.

A report is what `report.json` has: the client, how many cases of each level came out how, and every case with its runs.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .case import LEVELS, all_cases
from .page import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GOOD = frozenset({"pass", "na", "no", "skipped", "xfail"})
COLUMNS = ("pass", "fail", "xfail", "xpass", "na", "no", "skipped")


def finish(
    told: Sequence[dict[str, Any]], client: str, folder: str | None, write: Callable[[str], None]
) -> None:
    """Print the table; write the reports if a folder is given."""
    order = {name: number for number, name in enumerate(all_cases())}
    cases = sorted(told, key=lambda each: order.get(each["id"], len(order)))
    report = {"protocol": 1, "client": client, "counts": counts(cases), "cases": cases}
    for line in table(client, cases):
        write(line)
    if folder is not None:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        (path / "report.html").write_text(page([report]))
        write(f"reports: {path / 'report.json'}, {path / 'report.html'}")


def merge(reports: Sequence[Path], target: Path) -> None:
    """One page of several clients' reports, each a report.json or a folder with one; ValueError if one is none."""
    found = []
    for path in reports:
        file = path / "report.json" if path.is_dir() else path
        try:
            report = json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        if not isinstance(report, dict) or report.get("protocol") != 1:
            raise ValueError(f"{file}: not a report of this suite, or of another protocol than 1")
        found.append(report)
    target.mkdir(parents=True, exist_ok=True)
    (target / "report.html").write_text(page(found))
    (target / "matrix.json").write_text(json.dumps(matrix(found), indent=1) + "\n")


def matrix(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Of each client its counts, and of each case what came of it by client."""
    told = list(reports)
    cases: dict[str, dict[str, str]] = {}
    for report in told:
        for case in report["cases"]:
            cases.setdefault(case["id"], {})[report["client"]] = case["result"]
    return {"clients": {report["client"]: report["counts"] for report in told}, "cases": cases}


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
    yield f"{'group':<15}" + "".join(f"{column:>9}" for column in COLUMNS)
    for group in dict.fromkeys(case["group"] for case in cases):
        yield _line(f"R-{group}", [case for case in cases if case["group"] == group])
    yield _line("all", cases)
    early = sum(case["only_early"] for case in cases if case["result"] == "fail")
    if early:
        yield f"{early} of the failures are none but unproven bytes under a final name before the end"
    for case in cases:
        if case["result"] not in GOOD:
            yield f"{case['result']} {case['id']} ({case['level']}) {case['requirement']}"
            yield from (f"    {problem}" for problem in case["problems"])


def _line(name: str, cases: Sequence[dict[str, Any]]) -> str:
    found = Counter(case["result"] for case in cases)
    return f"{name:<15}" + "".join(f"{found[column] or '':>9}" for column in COLUMNS)
