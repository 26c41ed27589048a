"""What a person reads of a fleet: a line a change, and a row a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.cli import fleet_view
from fallback.fleet.driving import Standing
from fallback.fleet.report import NodeReport

if TYPE_CHECKING:
    import pytest


def test_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Once; bytes that came are no change."""
    states = [
        Standing("n1"),
        Standing("n1", "checking"),
        Standing("n1", "outside"),
        Standing("n1", "outside", done=7),
        Standing("n1", "peers", 1, "10.0.0.1:8484"),
        Standing("n1", "ready", 1),
        Standing("n1", "failed", 1, report=NodeReport("n1", "late", "it was not done in time")),
    ]
    with fleet_view.shown(as_json=False, quiet=False) as tell:
        for each in states:
            tell([each])
    assert capsys.readouterr().err.splitlines() == [
        "n1: waiting",
        "n1: checks what it has",
        "n1: fetches from outside",
        "n1: fetches from 10.0.0.1:8484",
        "n1: has all",
        "n1: failed: late: it was not done in time",
    ]


def test_a_row_says_why_a_node_does_not_share(capsys: pytest.CaptureFixture[str]) -> None:
    """And who lied to it."""
    report = NodeReport("n1", files=2, liars=("10.0.0.2:80",), unshared="serve_port: cannot listen")
    fleet_view.table([report], as_json=False, quiet=False)
    row = capsys.readouterr().err.splitlines()[1]
    assert row.endswith("  does not share: serve_port: cannot listen; lied to by 10.0.0.2:80")
