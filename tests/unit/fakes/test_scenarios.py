from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.faults import Status
from fakes.rules import Rule
from fakes.scenarios import SCENARIOS, Scenario, scenario_from_dict, shipped

if TYPE_CHECKING:
    from fakes.world import World


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_json_there_and_back(scenario: Scenario) -> None:
    assert scenario_from_dict(json.loads(json.dumps(scenario.to_dict()))) == scenario


def test_a_name_alone_is_a_shipped_one() -> None:
    assert scenario_from_dict({"name": "gateway-outage"}) == shipped("gateway-outage")


def test_the_shape_of_the_brief() -> None:
    document = {
        "name": "mine",
        "rules": [
            {"server": "gateway1", "path": "*", "first": 2, "fault": {"name": "status", "status": 404}}
        ],
    }
    assert scenario_from_dict(document) == Scenario("mine", (Rule("gateway1", Status(404), first=2),))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], 'with a "name"'),
        ({"rules": []}, 'with a "name"'),
        ({"name": "nope"}, "no scenario is called 'nope'; shipped: healthy, gateway-outage"),
        ({"name": "x", "rules": {}}, "rules are a list"),
        ({"name": "x", "rulez": []}, "no field 'rulez'"),
        ({"name": "x", "rules": [{"server": "hub", "fault": {"name": "hang"}}, {}]}, "rules[1]: a rule is"),
    ],
)
def test_what_is_no_scenario(document: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        scenario_from_dict(document)


def outcome(url: str, good: bytes) -> str:
    """What a plain client comes to: the right file, wrong bytes, or no answer of use."""
    try:
        response = requests.get(url, timeout=1)
    except requests.RequestException:
        return "failed"
    if response.status_code != 200:
        return str(response.status_code)
    return "right" if response.content == good else "wrong"


GATEWAYS = {
    "healthy": ["right"] * 4,
    "gateway-outage": ["404", "failed", "wrong", "right"],
    "all-gateways-fail-differently": ["failed", "503", "wrong", "failed"],
    "corrupt-everywhere-but-hub": ["wrong"] * 4,
    "flaky-10-percent": ["right"] * 4,
    "slow-network": ["right"] * 4,
    "placeholder-cid": ["400", "404"] * 2,
    "public-2026": ["failed", "429", "429", "429"],
    "everything-down": ["failed", "500", "failed", "504"],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_each_shipped_one_does(world: World, big: str, content: bytes, name: str) -> None:
    world.play(shipped(name))
    gateways = [outcome(big.replace(world.gateways[0], gateway), content) for gateway in world.gateways]
    assert gateways == GATEWAYS[name]
    hub = outcome(f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin", content)
    assert hub == ("503" if name == "everything-down" else "right")
