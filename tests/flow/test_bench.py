"""The benchmark runs: small files, once. Its figures are nobody's here."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from bench import __main__ as bench
from bench.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_leaves_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by `--record` what later runs are compared with, and the README's chart."""
    monkeypatch.setattr(bench, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(bench, "CHART", tmp_path / "bench.svg")
    words = ["cold", "--clients", "fallback,requests loop", "--size", "small", "--repeat", "1", "--record"]
    assert main([*words, "--out", str(tmp_path / "out"), "--dir", str(tmp_path)]) == 0
    assert (tmp_path / "baseline.json").read_text() == (tmp_path / "out" / "bench.json").read_text()
    assert (tmp_path / "bench.svg").exists() == (find_spec("matplotlib") is not None)
    figures = json.loads((tmp_path / "out" / "bench.json").read_text())["figures"]["cold"]
    assert list(figures) == ["fallback", "requests loop"]
    for row in figures.values():
        assert row["seconds"] > 0
        assert (row["requests"], row["wire_bytes"]) == (13, row["bytes"])
    assert "requests loop" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hot"], "no scenario is called hot; there are cold, "),
        (["--clients", "curl,netscape"], "no client is called netscape; there are fallback, "),
        (["--repeat", "0"], "at least 1"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
