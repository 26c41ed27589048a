"""The cases as data: whole, of the catalogue's rows, their jobs as the schema says, and what they name exists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fakes.faults.rows import rows
from tests.conformance import around, before, case, checks, checks_disk, schema, scripts, system
from tests.conformance.case import LEVELS, Case, all_cases, case_from_dict
from tests.conformance.stage import Stage

GOOD = {
    "id": "R-X-1",
    "level": "MUST",
    "requirement": "It does.",
    "why": "It must.",
    "hint": "Do it.",
    "origin": ["rule layers"],
}


def test_there_is_a_case_of_every_row_of_the_catalogue() -> None:
    covered = frozenset[int]().union(*(each.faults for each in all_cases().values()))
    assert covered == set(rows())


def test_a_case_comes_from_a_row_that_one_of_its_faults_plays() -> None:
    """A number in `origin` that is off by one would still be a row."""
    for each in all_cases().values():
        played = frozenset[int]().union(*(rule.fault.numbers for rule in each.rules))
        if (
            each.faults and played and each.script is None and not each.world
        ):  # where these are, they play the row
            assert each.faults & played, each.id


def test_every_fault_that_plays_a_row_is_in_a_case() -> None:
    used = {rule.fault.name for each in all_cases().values() for rule in each.rules}
    assert {fault.name for row in rows().values() for fault in row.plays} - used == set()


def test_ids_are_numbered_without_a_gap() -> None:
    """A stable id is never given anew: what is dropped leaves a gap, and this list then names it."""
    counted = Counter(each.group for each in all_cases().values())
    numbers = {
        group: {int(name.split("-")[2]) for name in all_cases() if name.split("-")[1] == group}
        for group in counted
    }
    assert numbers == {group: set(range(1, count + 1)) for group, count in counted.items()}


def test_no_requirement_is_said_twice() -> None:
    said = Counter(each.requirement for each in all_cases().values())
    assert [text for text, count in said.items() if count > 1] == []


def test_what_cases_name_exists() -> None:
    for each in all_cases().values():
        assert each.script is None or each.script in scripts.ALL, each.id
        assert set(each.expect.checks) <= set(checks.ALL | checks_disk.ALL), each.id
        assert set(each.before) <= set(before.BEFORE), each.id
        assert set(each.system) <= set(system.SYSTEMS), each.id
        assert set(each.around) <= {*around.AROUND, around.CLOCK}, each.id


def test_what_is_there_is_named_by_a_case() -> None:
    told = all_cases().values()
    assert {each.script for each in told} - {None} == set(scripts.ALL)
    assert {name for each in told for name in each.expect.checks} == set(checks.ALL | checks_disk.ALL)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "order-1"}, "an id is"),
        ({"level": "OUGHT"}, "a level is"),
        ({"why": "no full stop"}, "why is a sentence"),
        ({"origin": []}, "no origin"),
        ({"needs": ["wings"]}, "wings"),
        ({"rules": [{"server": "gateway1", "fault": {"name": "storm"}}]}, "storm"),
    ],
)
def test_a_case_that_is_wrong_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        case_from_dict(GOOD | change)


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="wings"):
        case_from_dict(GOOD | {"wings": 2})


def test_a_file_of_cases_is_named_where_it_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "01.toml").write_text('[[case]]\nid = "R-X-1"\n')
    monkeypatch.setattr(case, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"01\.toml, R-X-1"):
        all_cases.__wrapped__()


@pytest.mark.parametrize(
    "name",
    [
        "R-ORDER-1",
        "R-ORDER-7",
        "R-ORDER-11",
        "R-RETRY-17",
        "R-TLS-1",
        "R-REDIRECT-13",
        "R-FLOW-1",
        "R-INTEGRITY-16",
    ],
)
def test_a_job_is_as_its_schema_says(name: str, tmp_path: Path) -> None:
    with Stage(all_cases()[name], ["true"], tmp_path) as stage:
        assert schema.problems_of("job", stage.job) == []
        for file in stage.job["files"]:
            assert len(file["urls"]) == len(stage.job["gateways"]) * bool(file["ipfs"]) + bool(file["hub"])


def test_levels_are_those_of_rfc_2119() -> None:
    assert {each.level for each in all_cases().values()} == set(LEVELS)


def test_smoke_is_a_part_of_nearly_every_group_that_needs_no_feature() -> None:
    quick = {each.group for each in all_cases().values() if each.smoke}
    assert {each.group for each in all_cases().values() if not each.needs} - quick <= {"HTTP"}


def test_the_protocol_names_every_field_of_a_job() -> None:
    """PROTOCOL.md is what a stranger has."""
    text = (Path(case.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
    fields = schema.read("job")["properties"]
    assert [name for name in fields if f"`{name}`" not in text] == []
    assert [name for name in fields["files"]["items"]["properties"] if f"`{name}`" not in text] == []
    assert [name for name in case.FEATURES if f"`{name}`" not in text] == []


def test_a_case_is_frozen() -> None:
    """Cases are shared by every test of a process."""
    with pytest.raises(AttributeError):
        Case(**{**GOOD, "origin": ("rule",)}).level = "MAY"  # type: ignore[misc, arg-type]
