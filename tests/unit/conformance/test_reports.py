"""What becomes of results: expected failures, the table, the page, one page of several clients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import reporting
from tests.conformance.__main__ import main
from tests.conformance.outcome import client_name, expected_failures
from tests.conformance.page import page

ROOT = Path(__file__).parents[3]


def told(name: str, result: str, **more: Any) -> dict[str, Any]:
    run = {"exit": 0, "seconds": 1.0, "requests": 1, "bytes": 5, "journal": ["gateway1 GET /<a> -> 200"]}
    case = {
        "id": name,
        "group": name.split("-")[1],
        "level": "MUST",
        "requirement": "It <does>.",
        "why": "W.",
        "hint": "H.",
    }
    return {
        **case,
        "origin": ["fault 1"],
        "result": result,
        "problems": [],
        "only_early": False,
        "runs": [run],
        **more,
    }


def report(client: str, *cases: dict[str, Any]) -> dict[str, Any]:
    counts = reporting.counts(cases)
    return {"protocol": 1, "client": client, "date": "2026-01-02", "counts": counts, "cases": list(cases)}


FAILED = told("R-A-1", "fail", problems=["it held <other> bytes"])


class TestExpectedFailures:
    def test_a_line_is_an_id_and_a_reason(self, tmp_path: Path) -> None:
        client = tmp_path / "c.py"
        client.touch()
        (tmp_path / "c.py.xfails").write_text("# known\n\nR-A-1: no digests: none\n")
        assert expected_failures(["python3", str(client)]) == {"R-A-1": "no digests: none"}

    def test_several_may_have_one_reason(self, tmp_path: Path) -> None:
        client = tmp_path / "c.py"
        client.touch()
        (tmp_path / "c.py.xfails").write_text("R-A-1 R-A-2: no digests\n")
        assert expected_failures([str(client)]) == {"R-A-1": "no digests", "R-A-2": "no digests"}

    @pytest.mark.parametrize("lines", ["R-A-1\n", ": why\n", "R-A-1: why\nR-A-1: or why\n"])
    def test_a_line_that_is_none_is_refused(self, tmp_path: Path, lines: str) -> None:
        (tmp_path / "c.py").touch()
        (tmp_path / "c.py.xfails").write_text(lines)
        with pytest.raises(pytest.UsageError, match=r"xfails, line \d"):
            expected_failures([str(tmp_path / "c.py")])

    def test_without_a_file_nothing_is_expected(self) -> None:
        assert expected_failures(["python3", __file__]) == {}

    def test_a_client_is_called_by_its_file(self) -> None:
        assert client_name([sys.executable, __file__]) == "test_reports"

    @pytest.mark.parametrize(
        ("expected", "why", "code", "said"),
        [
            ("R-CACHE-1", "it only looks", 1, "xpass"),
            ("R-CACHE-1", "sometimes it only looks", 0, "pass"),
            ("R-ORDER-1", "it only looks", 0, "xfail"),
        ],
    )
    def test_they_are_strict_but_for_chance(
        self, tmp_path: Path, expected: str, why: str, code: int, said: str
    ) -> None:
        """A client that only ever looks passes R-CACHE-1 and fails R-ORDER-1; a list that is wrong about it fails."""
        client = tmp_path / "lazy.py"
        client.write_text(
            "import json, sys\n"
            "job = json.load(open(sys.argv[3]))\n"
            "import os.path\n"
            "sys.exit(not all(os.path.exists(job['folder'] + '/' + file['path']) for file in job['files']))\n"
        )
        (tmp_path / "lazy.py.xfails").write_text(f"{expected}: {why}\n")
        command = [
            sys.executable,
            "-m",
            "tests.conformance",
            "--client",
            f"{sys.executable} {client}",
            "--jobs",
            "1",
        ]
        wanted = [
            "-k",
            f"{expected}]",
            "-p",
            "no:cacheprovider",
            "--report",
            str(tmp_path),
            "--dump",
            str(tmp_path / "kept"),
        ]
        done = subprocess.run([*command, *wanted], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout
        [case] = json.loads((tmp_path / "report.json").read_text())["cases"]
        assert (case["id"], case["result"]) == (expected, said)
        assert case["expected"] == (None if said == "xpass" else why)
        assert (tmp_path / "report.html").exists()
        assert (tmp_path / "junit.xml").exists()
        assert (tmp_path / "kept" / expected / "run1" / "job.json").exists() is (said == "xfail")


class TestPage:
    def test_it_has_every_client_and_case_and_escapes_what_they_say(self) -> None:
        text = page([report("one", FAILED), report("two", told("R-A-1", "pass"), told("R-B-1", "na"))])
        assert [name in text for name in ("one", "two", "R-A-1", "R-B-1")] == [True] * 4
        assert "held &lt;other&gt; bytes" in text
        assert "<a>" not in text
        assert "It <does>" not in text

    def test_a_failure_of_place_alone_is_told_apart(self) -> None:
        assert "◐</" not in page([report("one", FAILED)]).split("</p>")[1]
        assert 'class="r early"' in page([report("one", FAILED | {"only_early": True})])

    def test_a_reason_why_it_was_expected_is_beside_the_failure(self) -> None:
        text = page([report("one", FAILED | {"result": "xfail", "expected": "no <digest>"})])
        assert "no &lt;digest&gt;" in text
        assert 'class="r xfail"' in text

    def test_what_many_clients_did_is_behind_one_line(self) -> None:
        assert "what 2 clients did" in page([report("one", FAILED), report("two", FAILED)])
        assert "clients did" not in page([report("one", FAILED)])

    def test_it_needs_nothing_else(self) -> None:
        text = page([report("one", FAILED)])
        assert [sign for sign in ("<script", "src=", "href=", "url(") if sign in text] == []


class TestMerging:
    def test_reports_become_one_matrix(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "report.json").write_text(json.dumps(report(name, FAILED)))
        assert (
            main(["merge", str(tmp_path / "one"), str(tmp_path / "two/report.json"), "--into", str(tmp_path)])
            == 0
        )
        made = json.loads((tmp_path / "matrix.json").read_text())
        assert made["cases"] == {"R-A-1": {"one": "fail", "two": "fail"}}
        assert made["clients"]["one"]["MUST"] == {"fail": 1}
        assert "two" in (tmp_path / "report.html").read_text()

    def test_counts_go_between_the_marks_of_a_document(self, tmp_path: Path) -> None:
        cases = (
            FAILED | {"only_early": True},
            told("R-A-2", "pass"),
            told("R-A-3", "na"),
            told("R-A-4", "xfail"),
        )
        (tmp_path / "report.json").write_text(json.dumps(report("one", *cases)))
        document = tmp_path / "README.md"
        document.write_text("before\n<!-- conformance: begin -->\nold\n<!-- conformance: end -->\nafter\n")
        assert main(["merge", str(tmp_path), "--into", str(tmp_path), "--counts", str(document)]) == 0
        text = document.read_text()
        assert "| one | 1 / 2 / 1 | 0 / 0 / 0 | 0 / 0 / 0 | 1 |\n<!-- conformance: end -->\nafter" in text
        assert "(2026-01-02)" in text
        assert "old" not in text

    def test_a_document_without_marks_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "report.json").write_text(json.dumps(report("one", FAILED)))
        (tmp_path / "README.md").write_text("nothing\n")
        with pytest.raises(SystemExit):
            main(["merge", str(tmp_path), "--into", str(tmp_path), "--counts", str(tmp_path / "README.md")])
        assert "no marks" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["{", "[]", '{"protocol": 9}'])
    def test_what_is_no_report_is_refused(
        self, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(SystemExit):
            main(["merge", str(tmp_path), "--into", str(tmp_path / "out")])
        assert "report.json" in capsys.readouterr().err


def test_the_table_names_failures_and_counts_those_of_place_alone() -> None:
    lines = list(reporting.table("one", [FAILED | {"only_early": True}, told("R-B-1", "pass")]))
    assert any("fail R-A-1 (MUST)" in line for line in lines)
    assert any(line.startswith("1 of the failures") for line in lines)
