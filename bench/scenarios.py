"""What is measured: the folder a client starts with, and what is wrong with the world. Nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scenario:
    """`rules` are those of the fakes; `sources` is how many gateways a client needs to know of; `warm`: the folder is
    full when the clock starts.
    """

    name: str
    what: str
    sources: int
    warm: bool = False
    rules: tuple[dict[str, Any], ...] = ()


SCENARIOS = (
    Scenario("cold", "an empty folder, a healthy gateway", sources=1),
    Scenario("warm", "the files are there", sources=1, warm=True),
    Scenario(
        "failover",
        "an empty folder, the first gateway says 404, the second is healthy",
        sources=2,
        rules=({"server": "gateway1", "fault": {"name": "status", "status": 404}},),
    ),
)
