"""Every case can be failed: by a client that is known to fail it, by a mutant, or it is said why by neither."""

from __future__ import annotations

from pathlib import Path

from tests.conformance import case, conftest
from tests.conformance.case import all_cases
from tests.conformance.mutants import mutant
from tests.conformance.mutants.mutant import mutants
from tests.conformance.outcome import reasons_in

CLIENTS = Path(case.__file__).parent / "clients"
SURVIVORS = mutant.HERE / "survivors"


def test_every_case_is_failed_by_a_client_or_a_mutant_or_has_a_reason_why_by_none() -> None:
    """What fails only where somebody looks at the right moment (`sometimes`) shows nothing of the case itself."""
    expected = [reasons_in(path) for path in CLIENTS.glob("*.xfails")]
    failed = {
        name for each in expected for name, why in each.items() if not why.startswith(conftest.SOMETIMES)
    }
    killing = {name for each in mutants().values() for name in each["killed_by"]}
    unfailed = {name for name in all_cases() if name not in failed | killing}
    assert unfailed == set(reasons_in(SURVIVORS))


def test_lists_of_expected_failures_are_of_clients_and_cases_that_exist() -> None:
    for path in CLIENTS.glob("*.xfails"):
        assert path.with_suffix("").is_file(), path
        assert set(reasons_in(path)) <= set(all_cases()), path
