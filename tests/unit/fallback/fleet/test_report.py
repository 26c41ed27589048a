"""A node's report: plain data both ways, and what it adds up."""

from __future__ import annotations

import json

from fallback.events import AttemptEnded, Blamed, CacheHit, RunStarted
from fallback.fleet.report import NodeReport, Tally


def ended(layer: str, source: str, outcome: str, count: int) -> AttemptEnded:
    return AttemptEnded("m", "a", layer, source, 1, outcome, "", count, None, 1.0)  # type: ignore[arg-type]


def test_a_tally_adds_up_layers_and_names_who_lied() -> None:
    tally = Tally()
    for event in (
        RunStarted(3, 3),
        CacheHit("m", "c", 7),
        ended("peer", "n1:1", "corrupt", 100),
        ended("peer", "n2:1", "delivered", 50),
        ended("ipfs", "g:1", "interrupted", 20),
        ended("huggingface", "h:1", "not_here", 0),
        Blamed("m", "a", "peer", "n3:1", 1, earlier=True),
    ):
        tally(event)
    assert tally.bytes_by_layer == {"peer": 150, "ipfs": 20}
    assert tally.liars == {"n1:1", "n3:1"}


def test_a_report_is_the_same_after_a_journey_as_json() -> None:
    report = NodeReport(
        "n",
        "unavailable",
        "why",
        3,
        1,
        {"peer": 150, "ipfs": 20, "mirror": 5},
        ("n1:1",),
        1.5,
        "http://n:1",
        2,
    )
    document = json.loads(json.dumps(report.to_json()))
    assert NodeReport.from_json(document) == report
    assert (document["ok"], document["outside_bytes"], document["peer_bytes"]) == (False, 25, 150)
    assert NodeReport("n").ok


def test_what_an_earlier_attempt_cost_is_not_forgotten() -> None:
    first = NodeReport("n", "unavailable", "why", 3, 1, {"peer": 150, "ipfs": 20}, ("n1:1",), 1.5)
    second = NodeReport(
        "n",
        files=4,
        bytes_by_layer={"peer": 1, "huggingface": 2},
        liars=("n0:1",),
        seconds=0.5,
        url="http://n:1",
    )
    both = second.after(first)
    assert both.ok
    assert both.bytes_by_layer == {"huggingface": 2, "ipfs": 20, "peer": 151}
    assert (both.liars, both.seconds, both.files, both.url) == (("n0:1", "n1:1"), 2.0, 4, "http://n:1")
    assert second.after(None) == second
