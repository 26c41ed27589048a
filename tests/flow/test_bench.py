"""The benchmark runs: small files, once. Its figures are nobody's here."""

from __future__ import annotations

import errno
import json
import os
import shlex
from importlib.util import find_spec
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest

from bench import __main__ as bench
from bench import asked, bundles, report
from bench.__main__ import main
from bench.machine import machine
from bench.process import Measured
from bench.scenarios import SCENARIOS

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
    """What later runs are compared with, and the README's chart: of full sizes. Small ones are held against nothing."""
    out = tmp_path / "out"
    words = ["cold", "--clients", "requests loop", "--size", "small", "--repeat", "1"]
    report.write(kept / "baseline.json", _document())
    assert main([*words, "--out", str(out), "--dir", str(tmp_path)]) == 0
    document = json.loads((out / "bench.json").read_text())
    figures = document["figures"]["cold"]
    assert list(figures) == ["fallback", "requests loop"]
    for row in figures.values():
        assert row["seconds"] > 0
        assert (row["requests"], row["files"], row["wire_bytes"]) == (13, 13, row["bytes"])
    told = capsys.readouterr().out
    assert "requests loop" in told
    assert "no goals: they are of full sizes, and this is small\n" in told
    assert "no comparison: the baseline is of size full, and this is small\n" in told
    assert document["goals"] == []
    (kept / "baseline.json").unlink()

    monkeypatch.setattr(bench, "_measure", pytest.fail)
    again = ["--from", str(out / "bench.json"), "--record", "--out", str(out)]
    with pytest.raises(SystemExit):
        main(again)
    assert "the size is small" in capsys.readouterr().err
    assert not list(kept.iterdir())

    report.write(out / "bench.json", document | {"size": "full", "repeat": 7, "partial": {}})
    assert main(again) == 0
    assert "goals are met" in capsys.readouterr().out
    assert (kept / "baseline.json").read_text() == (out / "bench.json").read_text()
    assert (kept / "bench.svg").exists() == (find_spec("matplotlib") is not None)


def test_figures_of_clients_that_are_not_measured_anew_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And said to be an earlier run's."""
    words = ["cold", "--size", "small", "--repeat", "1", "--out", str(tmp_path), "--dir", str(tmp_path)]
    assert main([*words, "--clients", "requests loop"]) == 0
    before = json.loads((tmp_path / "bench.json").read_text())["figures"]["cold"]
    assert main([*words, "--clients", "fallback", "--from", str(tmp_path / "bench.json")]) == 0
    after = json.loads((tmp_path / "bench.json").read_text())["figures"]["cold"]
    assert list(after) == ["fallback", "requests loop"]
    assert after["requests loop"] == before["requests loop"]
    assert after["fallback"] != before["fallback"]
    assert "of the earlier run, with its ratios: requests loop" in capsys.readouterr().err


def _rows() -> dict[str, report.Row]:
    return report.rows({"fallback": [Measured(2.0, 1.0, 1, 0)]}, 1)


def _document(**other: object) -> dict[str, Any]:
    """An earlier run's, but for what is other."""
    whole = {"machine": {}, "size": "full", "repeat": 7, "partial": {}, "figures": {"cold": _rows()}}
    return whole | other


def _of_row(**wrong: object) -> dict[str, Any]:
    return _document(figures={"cold": {"fallback": _rows()["fallback"] | wrong}})


def _measure(name: str, _options: argparse.Namespace, figures: report.Figures) -> list[str]:
    figures[name] = {SCENARIOS[name].clients[0]: _rows()["fallback"]}
    return []


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--clients", "wget"], "of chosen clients"), (["--repeat", "3"], "repeated 3 times")],
)
def test_what_is_not_whole_is_not_recorded_until_it_is(
    tmp_path: Path,
    words: list[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also by way of its bench.json."""
    monkeypatch.setattr(bench, "_measure", _measure)
    out = ["--out", str(tmp_path)]
    assert main(["cold", "warm", *out]) == 0
    again = ["--from", str(tmp_path / "bench.json"), *out]
    assert main(["warm", *words, *again]) == 0
    for record in (["--record", *again], ["cold", "--record", *again], ["warm", "--record", *words, *again]):
        with pytest.raises(SystemExit) as ended:
            main(record)
        assert ended.value.code == 2
        assert f"warm is {why}" in capsys.readouterr().err
    assert not list(kept.iterdir())
    assert main(["warm", "--record", *again]) == 0
    document = json.loads((kept / "baseline.json").read_text())
    assert (list(document["figures"]), document["partial"]) == (["cold", "warm"], {})


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is finished is not lost."""
    stops_at = "verify"

    def measure(name: str, options: argparse.Namespace, figures: report.Figures) -> list[str]:
        if name == stops_at:
            raise KeyboardInterrupt
        return _measure(name, options, figures)

    monkeypatch.setattr(bench, "_measure", measure)
    words = ["cold", "verify", "warm", "--repeat", "9", "--most", "5", "--out", str(tmp_path)]
    assert main(words) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        f"stopped; what is finished is in {tmp_path / 'bench.json'}; go on with: python -m bench "
    )
    assert " verify warm --repeat 9 --most 5.0 --out " in line
    assert list(json.loads((tmp_path / "bench.json").read_text())["figures"]) == ["cold"]
    stops_at = ""
    assert main(shlex.split(line.partition("python -m bench ")[2])) == 0
    document = json.loads((tmp_path / "bench.json").read_text())
    assert (list(document["figures"]), document["repeat"]) == (["cold", "warm", "verify"], 9)
    stops_at = "cold"
    assert main(words) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "stopped: no scenario was finished"


def test_a_disk_that_fills_up_is_said_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bench, "_measure", _measure)
    monkeypatch.setattr(report, "write", write)
    assert main(["cold", "warm", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert f"{tmp_path / 'bench.json'} is not written: No space left on device" in said.err
    assert "goals are met" in said.out


def test_what_is_not_here_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a program, and none for one that nobody asked for."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(bench, "_measure", _measure)
    assert main(["cold", "--clients", "curl,wget,fallback", "--out", str(tmp_path)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")]
    assert told == [
        "left out: curl is not here (for curl)",
        "left out: xargs is not here (for curl, wget)",
        "left out: openssl is not here (for curl, wget)",
        "left out: wget is not here (for wget)",
    ]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "it is no JSON object"),
        (_document(machine=None), "machine is no object"),
        (_document(size="large"), "size is neither full nor small"),
        (_document(repeat="7"), "repeat is no number of times"),
        (_document(partial=["cold"]), "partial is no object of texts"),
        (_document(figures=None), "figures is no object"),
        (_document(figures={"cold": {}}), "figures.cold does not begin with fallback"),
        (_document(figures={"cold": {"curl": {}}}), "figures.cold does not begin with fallback"),
        (_document(figures={"cold": {"fallback": 1}}), "figures.cold.fallback is no object"),
        (_document(figures={"cold": _rows() | {"curl": {}}}), "figures.cold.curl.seconds_each is no list"),
        (_of_row(seconds=None), "figures.cold.fallback.seconds is no number"),
        (_of_row(bytes="1"), "figures.cold.fallback.bytes is no number"),
        (_of_row(seconds_each=[]), "figures.cold.fallback.seconds_each is no list of numbers"),
        (_of_row(ours_over_bare="1"), "figures.cold.fallback.ours_over_bare is neither a number nor null"),
    ],
)
def test_a_bench_json_that_is_none_is_refused_with_the_place(
    tmp_path: Path, document: object, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and before anything is measured or drawn."""
    (tmp_path / "bench.json").write_text(json.dumps(document))
    for option in ("--from", "--baseline"):
        with pytest.raises(SystemExit) as ended:
            main([option, str(tmp_path / "bench.json"), "--out", str(tmp_path)])
        assert ended.value.code == 2
        assert says in capsys.readouterr().err


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
        return _measure(name, options, figures)

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
        (["--out", "/dev/null/x"], "--out: /dev/null/x: Not a directory"),
        (["--most", "0"], "more than 0 seconds"),
        (["--most", "nan"], "more than 0 seconds"),
        (["--record", "--size", "small"], "the size is small"),
        (["--record", "--repeat", "6"], "cold is repeated 6 times"),
        (["--record", "--clients", "curl"], "cold is of chosen clients"),
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
