from __future__ import annotations

import re
from typing import Any

import pytest

from fakes.faults import AcceptReset, Corrupt, Refused, Stall, Status
from fakes.rules import Rule, Rules, rule_from_dict

GET = ("gateway1", "GET", "/ipfs/x/a.onnx")


def strikes(rule: Rule, count: int, request: tuple[str, str, str] = GET) -> list[bool]:
    rules = Rules()
    rules.add(rule)
    return [bool(rules.due(*request)) for _ in range(count)]


@pytest.mark.parametrize(
    ("rule", "struck"),
    [
        (Rule("gateway1", Corrupt()), True),
        (Rule("gateway?", Corrupt()), True),
        (Rule("*", Corrupt()), True),
        (Rule("hub", Corrupt()), False),
        (Rule("*", Corrupt(), path="*.onnx"), True),
        (Rule("*", Corrupt(), path="*.json"), False),
        (Rule("*", Corrupt(), method="GET"), True),
        (Rule("*", Corrupt(), method="HEAD"), False),
        (Rule("*", AcceptReset()), False),
        (Rule("*", Refused()), False),
    ],
)
def test_aim(rule: Rule, *, struck: bool) -> None:
    assert strikes(rule, 1) == [struck]


def test_counts() -> None:
    assert strikes(Rule("*", Corrupt(), first=2), 4) == [True, True, False, False]
    assert strikes(Rule("*", Corrupt(), nth=3), 4) == [False, False, True, False]
    assert strikes(Rule("*", Corrupt(), first=0), 2) == [False, False]
    assert strikes(Rule("*", Corrupt(), after=2), 4) == [False, False, True, True]
    assert strikes(Rule("*", Corrupt(), first=3, after=1), 4) == [False, True, True, False]


def test_a_count_counts_only_what_it_aims_at() -> None:
    rules = Rules()
    rules.add(Rule("gateway1", Corrupt(), path="*.onnx", first=1))
    assert not rules.due("gateway1", "GET", "/config.json")
    assert not rules.due("gateway2", "GET", "/a.onnx")
    assert rules.due(*GET)
    assert not rules.due(*GET)


def test_chance_is_the_same_every_time() -> None:
    throws = strikes(Rule("*", Corrupt(), probability=0.3, seed=7), 1000)
    assert throws == strikes(Rule("*", Corrupt(), probability=0.3, seed=7), 1000)
    assert throws != strikes(Rule("*", Corrupt(), probability=0.3, seed=8), 1000)
    assert 250 < sum(throws) < 350


def test_levels_are_asked_apart() -> None:
    rules = Rules()
    rules.add(Rule("gateway1", Refused()))
    rules.add(Rule("gateway2", AcceptReset(), first=1))
    assert (rules.due_on("server", "gateway1"), rules.due_on("server", "gateway2")) == ([Refused()], [])
    assert rules.due_on("accept", "gateway2") == [AcceptReset()]
    assert rules.due_on("accept", "gateway2") == []


def test_removing_and_replacing() -> None:
    changes: list[None] = []
    rules = Rules(lambda: changes.append(None))
    one, two = rules.add(Rule("*", Corrupt())), rules.add(Rule("*", Stall()))
    assert rules.due(*GET) == [Corrupt(), Stall()]
    rules.remove(one)
    assert list(rules.rules()) == [two]
    with pytest.raises(KeyError):
        rules.remove(one)
    rules.replace([Rule("hub", Status(404))])
    assert list(rules.rules().values()) == [Rule("hub", Status(404))]
    assert two not in rules.rules()
    assert len(changes) == 4


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fault": Refused(), "path": "*.onnx"}, "whole server"),
        ({"fault": Refused(), "first": 1}, "whole server"),
        ({"fault": Refused(), "after": 0}, "whole server"),
        ({"fault": Refused(), "probability": 0.0}, "whole server"),
        ({"fault": AcceptReset(), "method": "GET"}, "before any request"),
        ({"fault": Corrupt(), "probability": 2}, "0 to 1"),
        ({"fault": Corrupt(), "first": -1}, "count from 0"),
        ({"fault": Corrupt(), "after": -1}, "count from 0"),
        ({"fault": Corrupt(), "nth": 0}, "nth from 1"),
    ],
)
def test_aims_that_make_no_sense(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rule("*", **fields)


def test_json_there_and_back() -> None:
    rule = Rule(
        "gateway*", Stall(offset=3), path="*.onnx", method="GET", first=2, probability=0.5, seed=3, after=1
    )
    assert rule_from_dict(rule.to_dict()) == rule
    short = Rule("hub", Refused())
    assert short.to_dict() == {"server": "hub", "fault": {"name": "refused"}}
    assert rule_from_dict(short.to_dict()) == short


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], 'with "server" and "fault"'),
        ({"server": "hub"}, 'with "server" and "fault"'),
        ({"server": "hub", "fault": {"name": "x"}}, "no fault is called"),
        (
            {"server": "hub", "fault": {"name": "hang"}, "nht": 1},
            "no field 'nht'; known: after, fault, first",
        ),
        ({"server": 1, "fault": {"name": "hang"}}, "server is str, not 1"),
        ({"server": "hub", "fault": {"name": "hang"}, "first": True}, "first is int, not True"),
        ({"server": "hub", "fault": {"name": "hang"}, "after": "1"}, "after is int, not '1'"),
        ({"server": "hub", "fault": {"name": "hang"}, "probability": "x"}, "probability is a number"),
    ],
)
def test_json_that_is_no_rule(document: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        rule_from_dict(document)
