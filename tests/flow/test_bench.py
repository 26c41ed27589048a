"""The benchmark runs: small files, once. Its figures are nobody's here."""

from __future__ import annotations

import json
from importlib.util import find_spec
from shutil import which
from typing import TYPE_CHECKING

import pytest

from bench import __main__ as bench
from bench import asked, bundles, report
from bench.__main__ import main
from bench.machine import machine
from bench.process import Measured

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `--record` keeps what it keeps of the repository's own."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(asked, "BASELINE", folder / "baseline.json")
    monkeypatch.setattr(bench, "CHART", folder / "bench.svg")
    return folder


def test_a_run_leaves_its_figures_and_is_recorded_without_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    """What later runs are compared with, and the README's chart."""
    out = tmp_path / "out"
    words = ["cold", "--clients", "requests loop", "--size", "small", "--repeat", "1"]
    assert main([*words, "--out", str(out), "--dir", str(tmp_path)]) == 0
    figures = json.loads((out / "bench.json").read_text())["figures"]["cold"]
    assert list(figures) == ["fallback", "requests loop"]
    for row in figures.values():
        assert row["seconds"] > 0
        assert (row["requests"], row["files"], row["wire_bytes"]) == (13, 13, row["bytes"])
    assert "requests loop" in capsys.readouterr().out
    assert not list(kept.iterdir())

    monkeypatch.setattr(bench, "_measure", pytest.fail)
    assert main(["--from", str(out / "bench.json"), "--record", "--out", str(out)]) == 0
    assert "requests loop" in capsys.readouterr().out
    assert (kept / "baseline.json").read_text() == (out / "bench.json").read_text()
    assert (kept / "bench.svg").exists() == (find_spec("matplotlib") is not None)


def test_a_scenario_that_fails_costs_no_other_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are on disk as soon as they are there; and one that is measured again takes its old ones' place."""
    written: list[list[str]] = []

    def measure(name: str, options: argparse.Namespace, figures: report.Figures) -> list[str]:
        if (out := options.out / "bench.json").exists():
            written.append(list(json.loads(out.read_text())["figures"]))
        if name == "warm":
            raise RuntimeError("the fakes ended at once")
        figures[name] = report.rows({"fallback": [Measured(2.0, 1.0, 1, 0)]}, 1)
        return []

    monkeypatch.setattr(bench, "_measure", measure)
    assert main(["verify", "warm", "cold", "--out", str(tmp_path)]) == 1
    assert written == [["verify"], ["verify"]]
    told = capsys.readouterr().err
    assert "warm: given up: RuntimeError: the fakes ended at once" in told
    assert told.endswith("did not do their work: warm\n")

    again = str(tmp_path / "bench.json")
    assert main(["cold", "--from", again, "--out", str(tmp_path)]) == 0
    assert list(json.loads((tmp_path / "bench.json").read_text())["figures"]) == ["cold", "verify"]


def test_what_only_one_scenario_serves_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 5 GB are not to stay among temporary files."""
    scratch = tmp_path / "scratch"
    monkeypatch.setenv("FAKES_SCRATCH", str(scratch))
    words = ["gateways-capped-8MBps", "--clients", "fallback", "--size", "small", "--repeat", "1"]
    (folder := tmp_path / "dir").mkdir()
    assert main([*words, "--out", str(tmp_path / "out"), "--dir", str(folder)]) == 0
    figures = json.loads((tmp_path / "out" / "bench.json").read_text())["figures"]
    assert list(figures["gateways-capped-8MBps"]) == ["fallback", "fallback on one gateway"]
    assert not scratch.exists()
    assert not list(folder.iterdir())


@pytest.mark.skipif(which("sha256sum") is None, reason="coreutils")
def test_bundles_are_measured_beside_tar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "OUT", tmp_path / "bundles.json")
    assert bundles.main(["--size", "small", "--repeat", "1"]) == 0
    document = json.loads((tmp_path / "bundles.json").read_text())
    assert document["seconds"].keys() == bundles.WAYS.keys()
    for task, ways in bundles.WAYS.items():
        assert document["seconds"][task].keys() == ways.keys()
        ours, theirs, *_ = (document["medians"][task][way] for way in ways)
        assert document["ratios"][task] == ours / theirs > 0
    assert "make    ratio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hot"], "no scenario is called hot; there are cold, "),
        (["--clients", "curl,netscape"], "no client is called netscape; there are fallback, "),
        (["--repeat", "0"], "at least 1"),
        (["--dir", "/dev/null/x"], "/dev/null/x is no folder"),
        (["--from", "/dev/null/x"], "/dev/null/x: Not a directory"),
        (["--baseline", __file__], "that is no bench.json of an earlier run"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("what", "value"), [("size", "small"), ("machine", {"cpus": 999})])
def test_figures_of_another_size_or_machine_are_not_mixed(
    tmp_path: Path, what: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = {"machine": machine(tmp_path), "size": "full", "repeat": 1, "figures": {}, what: value}
    report.write(tmp_path / "bench.json", earlier)
    with pytest.raises(SystemExit):
        main(["cold", "--from", str(tmp_path / "bench.json"), "--out", str(tmp_path)])
    assert f"its figures are of another {what}" in capsys.readouterr().err
