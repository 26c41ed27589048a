"""Scenarios: frozen lists of rules with a name, from and to JSON, and those that ship with the fakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.faults import AcceptReset, Corrupt, Hang, Html, Refused, Status, Truncate
from fakes.rules import Rule, rule_from_dict

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Scenario:
    """What is wrong with the world, all at once."""

    name: str
    rules: tuple[Rule, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The scenario as JSON."""
        return {"name": self.name, "rules": [rule.to_dict() for rule in self.rules]}


def scenario_from_dict(document: Mapping[str, Any]) -> Scenario:
    """A scenario from its JSON, or a shipped one from its name alone; ValueError says what is wrong."""
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError('a scenario is an object with a "name" and, unless it ships with the fakes, "rules"')  # noqa: TRY004  # one error for whatever is wrong with a document
    unknown = sorted(set(document) - {"name", "rules"})
    if unknown:
        raise ValueError(f"a scenario has no field {', '.join(map(repr, unknown))}; known: name, rules")
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
    return Scenario(document["name"], tuple(rules))


def shipped(name: str) -> Scenario:
    """A scenario that ships with the fakes; ValueError lists them."""
    if name not in SCENARIOS:
        raise ValueError(f"no scenario is called {name!r}; shipped: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


_LIST = (
    Scenario("healthy"),
    # The first gateway knows nothing, the second is silent, the third lies; the fourth is well.
    Scenario(
        "gateway-outage",
        (
            Rule("gateway1", Status(404)),
            Rule("gateway2", Hang()),
            Rule("gateway3", Corrupt()),
        ),
    ),
    Scenario(
        "all-gateways-fail-differently",
        (
            Rule("gateway1", Refused()),
            Rule("gateway2", Status(503, retry_after=1)),
            Rule("gateway3", Html()),
            Rule("gateway4", Truncate()),
        ),
    ),
    Scenario("corrupt-everywhere-but-hub", (Rule("gateway*", Corrupt()),)),
    Scenario(
        "placeholder-cid",
        (Rule("gateway*", Status(404, body="failed to resolve: no link named there\n")),),
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
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _LIST}
