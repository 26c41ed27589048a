"""What is said at the end of a run: the table, report.json, report.html. Also reports of several clients as one page.

A report is what `report.json` has: the client, the day, how many cases of each level came out how, and every case with its
runs.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .case import LEVELS, all_cases
from .page import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GOOD = frozenset({"pass", "na", "no", "skipped", "xfail"})
FAILED = ("fail", "xfail", "no")
MARKS = re.compile(r"(?<=<!-- conformance: begin -->\n).*(?=<!-- conformance: end -->)", re.DOTALL)
COLUMNS = ("pass", "fail", "xfail", "xpass", "na", "no", "skipped")


def finish(
    told: Sequence[dict[str, Any]], client: str, folder: str | None, write: Callable[[str], None]
) -> None:
    """Print the table; write the reports if a folder is given."""
    order = {name: number for number, name in enumerate(all_cases())}
    cases = sorted(told, key=lambda each: order.get(each["id"], len(order)))
    today = dt.datetime.now(dt.UTC).date().isoformat()
    report = {"protocol": 1, "client": client, "date": today, "counts": counts(cases), "cases": cases}
    for line in table(client, cases):
        write(line)
    if folder is not None:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "report.json").write_text(json.dumps(report, indent=1) + "\n")
        (path / "report.html").write_text(page([report]))
        write(f"reports: {path / 'report.json'}, {path / 'report.html'}")


def merge(reports: Sequence[Path], target: Path, counted: Path | None = None) -> None:
    """One page of several clients' reports, each a report.json or a folder with one; ValueError if one is none.

    `counted` is a document that gets the clients' counts between its two marks; ValueError if it has none.
    """
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
    if counted is not None:
        made = "".join(f"{line}\n" for line in counts_table(found))
        text, places = MARKS.subn(lambda _: made, counted.read_text(encoding="utf-8"))
        if places != 1:
            raise ValueError(f"{counted} has no marks for the counts: {MARKS.pattern}")
        counted.write_text(text, encoding="utf-8")


def counts_table(reports: Sequence[dict[str, Any]]) -> Iterable[str]:
    """As Markdown: of each client how many requirements it passed, failed and does not do, by level; the day in the head."""
    days = sorted({report["date"] for report in reports})
    yield f"| passed / failed / n.a. ({' to '.join(dict.fromkeys((days[0], days[-1])))}) | MUST | SHOULD | MAY | of the failed only early |"
    yield "|---|---|---|---|---|"
    for report in reports:
        cells = [
            f"{found.get('pass', 0) + found.get('xpass', 0)} / {sum(found.get(name, 0) for name in FAILED)} / "
            f"{found.get('na', 0) + found.get('skipped', 0)}"
            for found in report["counts"].values()
        ]
        early = sum(case["only_early"] for case in report["cases"] if case["result"] in FAILED)
        yield f"| {report['client']} | {' | '.join(cells)} | {early or ''} |"


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
