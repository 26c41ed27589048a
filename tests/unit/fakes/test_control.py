from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.scenarios import SCENARIOS, shipped

if TYPE_CHECKING:
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk


def test_the_journal_is_read_and_cleared(world: World, big: str, talk: Talk) -> None:
    talk(big)
    talk(big.replace(world.gateways[0], world.gateways[1]), method="HEAD")
    url = f"{world.control}/journal"
    assert requests.get(url, timeout=5).json() == [entry.to_dict() for entry in world.journal]
    chosen = requests.get(url, params={"server": "gateway2", "method": "HEAD", "path": "*.bin"}, timeout=5)
    assert [entry["server"] for entry in chosen.json()] == ["gateway2"]
    assert requests.get(url, params={"serve": "x"}, timeout=5).status_code == 400
    assert requests.delete(url, timeout=5).status_code == 204
    assert requests.get(url, timeout=5).json() == []
    assert len(world.journal) == 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_played_by_name_or_by_rules(world: World, name: str) -> None:
    url = f"{world.control}/scenario"
    for document in ({"name": name}, shipped(name).to_dict()):
        world.clear()
        answer = requests.put(url, json=document, timeout=5)
        assert answer.json() == requests.get(url, timeout=5).json() == shipped(name).to_dict()
        assert world.scenario() == shipped(name)


def test_a_scenario_is_in_force_when_the_answer_comes(world: World, big: str, talk: Talk) -> None:
    url = f"{world.control}/scenario"
    for _ in range(5):
        requests.put(url, json={"name": "everything-down"}, timeout=5)
        with pytest.raises(ConnectionRefusedError):
            talk(big)
        requests.put(url, json={"name": "healthy"}, timeout=5)
        assert talk(big).status == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Expecting value"),
        (b"\xff", "decode"),
        (b"[]", 'with a "name"'),
        (b'{"name": "nope"}', "no scenario is called 'nope'"),
        (
            b'{"name": "x", "rules": [{"server": "hub", "fault": {"name": "y"}}]}',
            "rules[0]: no fault is called 'y'",
        ),
    ],
)
def test_bad_input_is_a_400_that_says_why(world: World, body: bytes, says: str) -> None:
    before = world.scenario()
    answer = requests.put(f"{world.control}/scenario", data=body, timeout=5)
    document: Any = answer.json()
    assert answer.status_code == 400
    assert says in document["error"]
    assert world.scenario() == before


def test_other_methods_and_paths(world: World) -> None:
    assert requests.post(f"{world.control}/journal", timeout=5).status_code == 405
    assert requests.get(f"{world.control}/nope", timeout=5).status_code == 404
