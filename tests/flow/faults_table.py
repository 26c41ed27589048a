"""Puts the fault table into the README, from the catalogue and the last `make faults` (out/faults.json)."""

from __future__ import annotations

import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.faults.rows import rows
from tests.flow.trial import OUT

if TYPE_CHECKING:
    from collections.abc import Iterable

README = Path("README.md")
BETWEEN = re.compile(r"(?<=<!-- faults: begin -->\n).*(?=<!-- faults: end -->)", re.DOTALL)
HEAD = "| # | fault | what goes wrong | from it alone | with a good second source |\n|---|---|---|---|---|\n"


def table(results: Iterable[dict[str, Any]]) -> str:
    """The table as markdown; several ways to play one row are one line.

    Raises:
        SystemExit: a row of the catalogue was not tried.
    """
    tried = {number: list(each) for number, each in groupby(results, key=lambda result: result["number"])}
    lines = []
    for row in rows().values():
        if not row.plays:
            continue
        if row.number not in tried:
            sys.exit(f"{OUT} has no result for {row.number} {row.name}: run `make faults` first")
        alone = [each for each in tried[row.number] if not each["second_source"]]
        beside = [each for each in tried[row.number] if each["second_source"]]
        lines.append(f"| {row.number} | {row.name} | {row.does} | {_said(alone)} | {_said(beside)} |\n")
    return HEAD + "".join(lines)


def _said(results: list[dict[str, Any]]) -> str:
    """What came of all ways to play a row: never a mean, the slowest and the most requests."""
    right = sum(each["disk"] == "right" for each in results)
    wrong = sum(each["disk"] not in {"right", "absent"} for each in results)
    ends = {len(results): "right file", 0: "clean failure"}.get(
        right, f"right file {right} of {len(results)} ways"
    )
    requests = max(each["requests"] for each in results)
    slowest = max(each["seconds"] for each in results)
    return f"{f'WRONG FILE {wrong} times' if wrong else ends}, {requests} requests, {slowest:.1f} s"


def main() -> None:
    """Replace what stands between the README's two marks."""
    if not OUT.exists():
        sys.exit(f"{OUT} is not there: run `make faults` first")
    made = table(json.loads(OUT.read_text(encoding="utf-8")))
    text, found = BETWEEN.subn(lambda _: made, README.read_text(encoding="utf-8"))
    if not found:
        sys.exit(f"{README} has no marks for the table")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
