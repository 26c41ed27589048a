"""Whom a mirror is given files of, and when nobody waits for it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fallback.events import AttemptEnded, Blamed, FileCompleted
from fallback.facts import CacheHit
from fallback.share.mirroring import Writer
from fallback.share.shelf import Shelf

if TYPE_CHECKING:
    from fallback.facts import Event

SHA256 = "0" * 64


@pytest.fixture(name="told")
def _told() -> list[str]:
    return []


@pytest.fixture(name="writer")
def _writer(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Writer:
    """Of a mirror that nobody can reach, so that each file it is given is told of."""
    shelf = Shelf(tmp_path_factory.mktemp("models"), lambda _sha256: [])
    return Writer(
        "nosuch://mirror", shelf, {("m", "a.bin"): SHA256}, warn=told.append, over=lambda: False, quiet_s=5
    )


def completed(layer: str, path: str = "a.bin") -> FileCompleted:
    return FileCompleted("m", path, layer, "somebody", 1, 1, 1, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", ["peer", "ipfs", "huggingface", "bundle", "cache"])
def test_what_came_from_elsewhere_is_given(writer: Writer, told: list[str], layer: str) -> None:
    writer(completed(layer))
    writer.close()
    assert told == ["the mirror was not given 000000000000…: nobody knows what nosuch:// is"]


def test_what_came_from_it_or_was_here_is_not(writer: Writer, told: list[str]) -> None:
    writer(completed("mirror"))
    writer(CacheHit("m", "a.bin", 1))
    writer(completed("ipfs", "of-another-run.bin"))
    writer.close()
    assert not told


def attempt(outcome: str) -> AttemptEnded:
    return AttemptEnded("m", "a.bin", "mirror", "somebody", 1, outcome, "", 0, None, 0.1)


@pytest.mark.parametrize(
    "wrong", [attempt("corrupt"), Blamed("m", "a.bin", "mirror", "somebody", 1, earlier=False)]
)
def test_what_it_had_wrong_is_given_although_it_sent_the_last_of_it(
    writer: Writer, told: list[str], wrong: Event
) -> None:
    """Some chunks of it were wrong, the others right."""
    writer(wrong)
    writer(completed("mirror"))
    writer.close()
    assert len(told) == 1


@pytest.mark.parametrize("outcome", ["delivered", "not_here", "stalled"])
def test_what_it_did_not_have_wrong_is_not(writer: Writer, told: list[str], outcome: str) -> None:
    writer(attempt(outcome))
    writer(completed("mirror"))
    writer.close()
    assert not told
