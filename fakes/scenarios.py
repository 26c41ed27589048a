"""Scenarios: frozen lists of rules with a name, from a file or JSON and to it, and those that ship with the fakes.

A file is JSON (`.json`) or TOML, in which each rule is a `[[rules]]` table. What is wrong with one is a ValueError that
says which rule of which file.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.faults import (
    AcceptReset,
    Corrupt,
    Dribble,
    Hang,
    Html,
    Refused,
    Reset,
    Retired,
    Status,
    Truncate,
)
from fakes.rules import Rule, rule_from_dict

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Scenario:
    """What is wrong with the world, all at once; `about` is a line for people."""

    name: str
    rules: tuple[Rule, ...] = ()
    about: str = field(default="", compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The scenario as JSON."""
        about = {"about": self.about} if self.about else {}
        return {"name": self.name, **about, "rules": [rule.to_dict() for rule in self.rules]}


def scenario_from_dict(document: Mapping[str, Any]) -> Scenario:
    """A scenario from its JSON, or a shipped one from its name alone; ValueError says what is wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError('a scenario is an object with a "name" and, unless it ships with the fakes, "rules"')  # noqa: TRY004  # one error for whatever is wrong with a document
    unknown = sorted(set(document) - {"name", "about", "rules"})
    if unknown:
        raise ValueError(
            f"a scenario has no field {', '.join(map(repr, unknown))}; known: name, about, rules"
        )
    if not isinstance(document.get("about", ""), str):
        raise ValueError(f"a scenario's about is a line of text, not {document['about']!r}")  # noqa: TRY004  # one error for whatever is wrong with a document
    if "rules" not in document:
        return shipped(document["name"])
    if not isinstance(document["rules"], list):
        raise ValueError("a scenario's rules are a list")  # noqa: TRY004  # one error for whatever is wrong with a document
    rules = []
    for index, rule in enumerate(document["rules"]):
        try:
            rules.append(rule_from_dict(rule))
        except ValueError as error:
            raise ValueError(f"rules[{index}]: {error}") from error
    return Scenario(document["name"], tuple(rules), document.get("about", ""))


def find_scenario(name: str) -> Scenario:
    """The scenario in that file, if the name ends in .json or .toml, else the shipped one of that name."""
    path = Path(name)
    if path.suffix not in {".json", ".toml"}:
        return shipped(name)
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        # A file need not say its name twice.
        return scenario_from_dict({"name": path.stem, **document} if isinstance(document, dict) else document)
    except ValueError as error:  # of JSON, of TOML, of a scenario
        raise ValueError(f"{path}: {error}") from error


def shipped(name: str) -> Scenario:
    """A scenario that ships with the fakes; ValueError lists them."""
    if name not in SCENARIOS:
        raise ValueError(f"no scenario is called {name!r}; shipped: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


_NO_LINK = 'failed to resolve: no link named "onnx" under that CID\n'
_BAD_CID = "invalid path: invalid cid: selected encoding not supported\n"
_NOT_PINNED = (
    "<!doctype html><title>Error</title><p>The owner of this gateway does not have this content pinned. "
    "ERR_ID:00023</p>\n"
)

_LIST = (
    Scenario("healthy", about="all is well"),
    Scenario(
        "gateway-outage",
        (
            Rule("gateway1", Status(404)),
            Rule("gateway2", Hang()),
            Rule("gateway3", Corrupt()),
        ),
        about="the first gateway knows nothing, the second is silent, the third lies; the fourth is well",
    ),
    Scenario(
        "all-gateways-fail-differently",
        (
            Rule("gateway1", Refused()),
            Rule("gateway2", Status(503, retry_after=1)),
            Rule("gateway3", Html()),
            Rule("gateway4", Truncate()),
        ),
        about="refused, 503, a page of HTML, cut in the middle; the Hub is well",
    ),
    Scenario(
        "corrupt-everywhere-but-hub",
        (Rule("gateway*", Corrupt()),),
        about="every gateway has the same wrong bit in each file",
    ),
    Scenario(
        "flaky-10-percent",
        (
            Rule("*", Reset(), probability=0.05, seed=1),
            Rule("*", Status(502), probability=0.05, seed=2),
        ),
        about="of ten requests to any server one fails: reset in the middle, or 502",
    ),
    Scenario(
        "slow-network",
        (
            Rule("*", Hang(seconds=0.3)),
            Rule("*", Dribble(bytes_per_s=500_000)),
        ),
        about="every answer comes 0.3 s late, and at 500 kB/s a connection",
    ),
    Scenario(
        "placeholder-cid",
        (
            Rule("gateway[13]", Status(400, body=_BAD_CID)),
            Rule("gateway[24]", Status(404, body=_NO_LINK)),
        ),
        about="no gateway has ever heard of the CIDs: 400 or 404",
    ),
    # cloudflare-ipfs.com, dweb.link, gateway.pinata.cloud and ipfs.io, in the order of the engine's defaults. A name that
    # has no address and a port that is closed are the same to a client's plan: no connection, at once.
    Scenario(
        "public-2026",
        (
            Rule("gateway1", Refused()),
            Rule("gateway2", Retired()),
            Rule("gateway3", Html(body=_NOT_PINNED, status=403)),
            Rule("gateway3", Status(429, retry_after=60), probability=0.5, seed=1),
            Rule("gateway4", Retired()),
        ),
        about="the public gateways since September 2026: gone, retired, rationed (but not as slow), retired; the Hub is well",
    ),
    Scenario(
        "everything-down",
        (
            Rule("gateway1", Refused()),
            Rule("gateway2", Status(500)),
            Rule("gateway3", AcceptReset()),
            Rule("gateway4", Status(504)),
            Rule("hub", Status(503)),
            Rule("cdn", Refused()),
        ),
        about="nobody has anything",
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _LIST}
