"""What a body may say."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.server.body import MODELS, NAME_CHARS, models_in
from fallback.server.guard import Refusal

JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "models"),
    [(b"", ()), (b"{}", ()), (b'{"models": []}', ()), (b'{"models": ["a", "b"]}', ("a", "b"))],
)
def test_what_is_understood(body: bytes, models: tuple[str, ...]) -> None:
    assert models_in(body, JSON) == models


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "", 415),
        (b"{}", "text/plain", 415),
        (b"models=a", "application/x-www-form-urlencoded", 415),
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[" * 60_000, JSON, 400),
        (b"[]", JSON, 422),
        (b"null", JSON, 422),
        (b'{"model": []}', JSON, 422),
        (b'{"models": "a"}', JSON, 422),
        (b'{"models": [1]}', JSON, 422),
        (b'{"models": [""]}', JSON, 422),
        (json.dumps({"models": ["a"] * (MODELS + 1)}).encode(), JSON, 422),
        (json.dumps({"models": ["a" * (NAME_CHARS + 1)]}).encode(), JSON, 422),
    ],
)
def test_what_is_refused(body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(Refusal) as refused:
        models_in(body, content_type)
    assert refused.value.status == status


@given(st.binary(max_size=200))
def test_any_bytes_are_names_or_a_refusal(body: bytes) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(Refusal):
        assert all(isinstance(name, str) for name in models_in(body, JSON))
