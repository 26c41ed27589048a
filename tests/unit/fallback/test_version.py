"""Which version is here, next to the one there is: decided from what is known and the time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.manifest import File, HubRef, Model
from fallback.settings import Settings
from fallback.state.versions import Known
from fallback.version import branch_of, differs, is_due, next_due, pin, question, version_of

DAY = 86400.0
HOUR = 3600.0
PIN, OTHER = "ab" * 20, "cd" * 20
SHA = "12" * 32
FILE = File("a.onnx", 7, SHA)
REF = HubRef("org/tiny", revision=PIN)
MODEL = Model("tiny", "stt", "tiny", (FILE,), huggingface=REF)
SETTINGS = Settings()
KNOWN = Known(
    question(REF, SETTINGS), asked_at=1000.0, due_at=1000.0 + DAY, found=PIN, known_at=1000.0, pinned=PIN
)


def known(**changes: Any) -> Known:
    return dataclasses.replace(KNOWN, **changes)


@pytest.mark.parametrize(
    ("record", "days", "said"),
    [
        (None, 0, "unknown: never asked"),
        (known(), 0, "current"),
        (known(), 90, "current"),
        (known(), 90.01, "unknown since 1970-01-01T00:16:40+00:00; stale"),
        (known(found=OTHER), 1, f"newer (commit {OTHER}); none of its files differs"),
        (known(found=OTHER, differing=("a.onnx",)), 1, f"newer (commit {OTHER}); 1 file(s) differ"),
        (known(found=OTHER, problem="h: down"), 1, f"newer (commit {OTHER}); h: down"),
        (known(found=OTHER), 91, f"unknown since 1970-01-01T00:16:40+00:00, then newer (commit {OTHER}); stale"),
        (known(differing=("a.onnx",)), 1, "current; 1 file(s) of the manifest are others there"),
        (known(unknown_since=1000.0, problem="h: down"), 1, "unknown since 1970-01-01T00:16:40+00:00; h: down"),
        (
            known(found=None, known_at=None, unknown_since=5.0, problem="h: down"),
            0.5,
            "unknown since 1970-01-01T00:00:05+00:00; h: down",
        ),
    ],
)  # fmt: skip
def test_what_is_said(record: Known | None, days: float, said: str) -> None:
    """Current, newer, unknown since, stale: by what was last told, and when."""
    assert str(version_of(MODEL, record, SETTINGS, 1000.0 + days * DAY)) == said


def test_a_question_that_was_another_s_is_no_answer() -> None:
    """Of another Hub, repository, type or branch; also of one that the manifest names since."""
    for ref in (
        dataclasses.replace(REF, repo="org/other"),
        dataclasses.replace(REF, repo_type="dataset"),
        dataclasses.replace(REF, branch="dev"),
    ):
        model = dataclasses.replace(MODEL, huggingface=ref)
        assert str(version_of(model, KNOWN, SETTINGS, 1000.0)) == "unknown: never asked"
        assert is_due(model, KNOWN, SETTINGS, 1000.0)
    there = Settings(hf_endpoint="https://mirror.invalid")
    assert version_of(MODEL, KNOWN, there, 1000.0).state == "unknown"


def test_a_new_pin_is_compared_with_the_answer_there_is() -> None:
    """An upgrade needs no other question; what differed from the old pin is not said of the new one."""
    model = dataclasses.replace(MODEL, huggingface=dataclasses.replace(REF, revision=OTHER))
    version = version_of(model, known(found=OTHER, differing=("a.onnx",)), SETTINGS, 1000.0)
    assert (version.state, version.differing) == ("current", ())


def test_a_model_that_cannot_be_compared_says_so() -> None:
    """Neither is ever current; who has no repository is not due."""
    following = dataclasses.replace(MODEL, huggingface=HubRef("org/tiny"))
    assert version_of(following, KNOWN, SETTINGS, 1000.0).state == "unpinned"
    assert version_of(following, None, SETTINGS, 1000.0).state == "unpinned"
    assert is_due(following, None, SETTINGS, 0.0)
    own = dataclasses.replace(MODEL, huggingface=None)
    assert version_of(own, None, SETTINGS, 0.0).state == "untracked"
    assert not is_due(own, None, SETTINGS, 0.0)


@given(st.floats(0, 1), st.floats(0, 1e10))
def test_it_is_due_a_day_after_and_at_most_a_tenth_more(jitter: float, now: float) -> None:
    """Never sooner, whatever the jitter."""
    record = known(asked_at=now, due_at=next_due(SETTINGS, now, jitter))
    assert not is_due(MODEL, record, SETTINGS, now + 23.99 * HOUR)
    assert is_due(MODEL, record, SETTINGS, now + 26.41 * HOUR)


def test_a_clock_that_went_back_does_not_silence_it() -> None:
    """What was asked in the future was asked by a wrong clock; offline, nobody is asked."""
    record = known(asked_at=5000.0, due_at=5000.0 + DAY)
    assert is_due(MODEL, record, SETTINGS, 1399.0)
    assert not is_due(MODEL, record, SETTINGS, 1401.0)
    assert not is_due(MODEL, None, Settings(offline=True), 0.0)
    assert not version_of(MODEL, record, SETTINGS, 0.0).stale


@pytest.mark.parametrize(
    ("said", "pinned", "is_other"),
    [
        (None, "git:1", True),
        (f"sha256:{SHA}", None, False),
        (f"sha256:{'34' * 32}", None, True),
        (f"sha256:{'34' * 32}", f"sha256:{'34' * 32}", True),
        ("git:1", "git:1", False),
        ("git:2", "git:1", True),
        ("git:2", None, False),
        ("etag:x", "etag:y", True),
    ],
)
def test_which_files_differ(said: str | None, pinned: str | None, *, is_other: bool) -> None:
    """In LFS the manifest decides, outside it what was said at the pinned commit; without that, nothing."""
    assert differs(FILE, said, pinned) is is_other


def test_a_file_without_a_sha256_is_compared_by_what_it_says() -> None:
    bare = File("a.onnx", 7, None)
    assert differs(bare, "sha256:1", "sha256:2")
    assert not differs(bare, "sha256:1", "sha256:1")


def test_the_branch_is_what_it_was_pinned_from() -> None:
    assert (pin(REF), branch_of(REF)) == (PIN, "main")
    assert branch_of(dataclasses.replace(REF, branch="dev")) == "dev"
    assert (pin(HubRef("a", revision="v1")), branch_of(HubRef("a", revision="v1"))) == (None, "v1")
    assert pin(HubRef("a", revision="AB" * 20)) is None


def test_json_has_times_and_the_sentence() -> None:
    told = version_of(MODEL, KNOWN, SETTINGS, 1000.0).to_json()
    assert (told["said"], told["known_at"], told["unknown_since"]) == (
        "current",
        "1970-01-01T00:16:40+00:00",
        None,
    )
