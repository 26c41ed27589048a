from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.faults import Status
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


def test_faults_one_by_one(world: World, big: str, talk: Talk) -> None:
    url = f"{world.control}/faults"
    rule = {"server": "gateway1", "path": "*.bin", "fault": {"name": "status", "status": 418}}
    answer = requests.post(url, json=rule, timeout=5)
    assert answer.status_code == 201
    number = answer.json()["id"]
    assert talk(big).status == 418
    [listed] = requests.get(url, timeout=5).json().items()
    assert listed[0] == str(number)
    assert listed[1]["fault"].items() >= rule["fault"].items()  # type: ignore[attr-defined]  # a dictionary of both
    assert requests.delete(f"{url}/{number}", timeout=5).status_code == 204
    assert talk(big).status == 200
    assert requests.delete(f"{url}/{number}", timeout=5).status_code == 404


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"server": "gateway1"}, '"server" and "fault"'),
        ({"server": "gateway1", "fault": {"name": "nope"}}, "no fault is called 'nope'"),
        ({"server": "gateway1", "fault": {"name": "expired"}}, "needs a world with https"),
        ({"server": "gateway1", "fault": {"name": "latency"}, "path": "*.bin"}, "takes no path"),
    ],
)
def test_a_fault_that_cannot_be_is_a_400(world: World, rule: dict[str, Any], says: str) -> None:
    answer = requests.post(f"{world.control}/faults", json=rule, timeout=5)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert requests.get(f"{world.control}/faults", timeout=5).json() == {}


def test_the_page_shows_servers_faults_and_the_journal(world: World, big: str, talk: Talk) -> None:
    """And whatever a client sends, it is text there."""
    assert "None." in requests.get(world.control, timeout=5).text
    number = world.add("gateway1", Status(status=418), path="*.bin", first=2)
    talk(big)
    talk(f"{world.gateways[1]}/<script>alert(1)</script>")
    answer = requests.get(world.control, timeout=5)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert world.gateways[0] in answer.text
    cells = re.sub(r"<td[^>]*>", "<td>", answer.text)
    assert re.search(rf"<td>{number}</td><td>gateway1</td><td>status .*418.*&quot;first&quot;: 2", cells)
    assert re.search("<td>gateway1</td><td>GET /ipfs/.*big one.bin</td>.*418", cells)
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_the_page_shows_the_newest_hundred(world: World, talk: Talk) -> None:
    for number in range(105):
        talk(f"{world.gateways[0]}/{number}")
    text = requests.get(world.control, timeout=5).text
    assert "105 requests, the last 100" in text
    assert [f"GET /{number}<" in text for number in (104, 5, 4)] == [True, True, False]


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


def test_what_gateways_have_can_be_taken_away(world: World, big: str, talk: Talk) -> None:
    """The Hub has it still."""
    assert requests.delete(f"{world.control}/blocks", timeout=5).status_code == 204
    assert talk(big).status != 200
    assert len(world.blocks) == 0
