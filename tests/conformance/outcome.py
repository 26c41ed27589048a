"""What came of a case, in words that reports use, and which failures a client's own file expects.

pass      as required
fail      not so
xfail     not so, and the client's xfails say why (an xfail that passes is a failure: `xpass`)
na        the client exited 2: it does not do this
no        a MAY that the client does not do: nobody asked for it
skipped   this machine cannot play it
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .case import Case
    from .stage import Stage

RESULTS = ("pass", "fail", "xfail", "xpass", "na", "no", "skipped")
EXCERPT = 12
"""Requests of a run that a report shows."""


class Told:
    """What is told of one case: `document` is its line in report.json."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.document: dict[str, Any] = {
            "id": case.id,
            "group": case.group,
            "level": case.level,
            "requirement": case.requirement,
            "why": case.why,
            "hint": case.hint,
            "origin": list(case.origin),
            "found": None,
            "expected": None,
            "only_early": False,
            "problems": [],
            "runs": [],
        }

    def unsupported(self) -> None:
        """The client exited 2."""
        self.document["found"] = "na"

    def unavailable(self, why: str) -> None:
        """This machine cannot play the case."""
        self.document["found"], self.document["problems"] = "skipped", [why]

    def ended(self, stage: Stage) -> None:
        """The scene is over; an n/a or a skip has no problems."""
        if self.document["found"] is None:
            self.document["found"] = "fail" if stage.problems else "pass"
            self.document["problems"] = list(dict.fromkeys(stage.problems))
            early = {problem for run in stage.runs for problem in run.seen}
            # What a client wrote in place, and what else it did wrong, are two things to whoever reads a report.
            self.document["only_early"] = bool(stage.problems) and set(stage.problems) <= early
        self.document["runs"] = [
            {
                "exit": run.code,
                "seconds": round(run.seconds, 2),
                "requests": len(run.entries),
                "bytes": sum(entry.bytes_sent for entry in run.entries),
                "journal": [journal_line(entry) for entry in run.entries[:EXCERPT]],
            }
            for run in stage.runs
        ]

    def judge(self) -> None:
        """End the test as pytest ends tests."""
        found, problems = self.document["found"], self.document["problems"]
        if found == "na":
            pytest.skip("n/a: the client does not do this (exit 2)")
        if found == "skipped":
            pytest.skip(f"not measured here: {problems[0]}")
        if found == "fail" and self._case.level == "MAY":
            self.document["found"] = "no"
            pytest.skip(f"not done, and need not be: {'; '.join(problems)}")
        if found == "fail":
            listed = "\n".join(f"  {problem}" for problem in problems)
            pytest.fail(
                f"{self._case.id} {self._case.requirement}\n{listed}\nhint: {self._case.hint}", pytrace=False
            )

    @staticmethod
    def result(report: pytest.TestReport, told: dict[str, Any]) -> str:
        """The result, when pytest has seen the client's expected failures."""
        if hasattr(report, "wasxfail") and report.skipped:  # one that passes, and may, is a pass
            return "xfail"
        if report.failed:
            return "xpass" if told["found"] == "pass" else "fail"
        return str(told["found"])


def journal_line(entry: Any) -> str:
    """A request in one line, for people."""
    what = f"{entry.method or 'connection'} {entry.path}".strip()
    part = f" [{entry.range}]" if entry.range else ""
    faults = f" ({', '.join(entry.faults)})" if entry.faults else ""
    return f"{entry.server} {what}{part} -> {entry.status or '-'}, {entry.bytes_sent} bytes, {entry.ended}{faults}"


def client_name(command: Sequence[str]) -> str:
    """The client's name: that of its file."""
    return Path(_file_of(command)).stem


def expected_failures(command: Sequence[str]) -> dict[str, str]:
    """Case ids with their reasons, from the file `<client>.xfails` beside the client; UsageError if a line is no such."""
    path = Path(f"{_file_of(command)}.xfails")
    return reasons_in(path) if path.is_file() else {}


def reasons_in(path: Path) -> dict[str, str]:
    """Case ids with their reasons; a line is one id or several, a colon and the reason: else a UsageError."""
    reasons: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        names, _, reason = line.partition(":")
        if not names.strip() or not reason.strip():
            raise pytest.UsageError(f"{path}, line {number}: a line is cases' ids, a colon and the reason")
        for name in names.split():
            if name in reasons:
                raise pytest.UsageError(f"{path}, line {number}: {name} has a reason already")
            reasons[name] = reason.strip()
    return reasons


def _file_of(command: Sequence[str]) -> str:
    """The last word of the command that is a file: of `python client.py`, the client."""
    return next((word for word in reversed(command) if Path(word).is_file()), command[0])
