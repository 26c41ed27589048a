"""Varints: the shortest form, at most nine bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs import varint


@given(st.integers(0, (1 << 63) - 1), st.binary())
def test_what_is_written_is_read(number: int, more: bytes) -> None:
    made = varint.encode(number)
    assert varint.decode(made + more) == (number, len(made))
    assert varint.decode(b"xy" + made + more, 2) == (number, 2 + len(made))


@pytest.mark.parametrize(
    ("number", "made"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (1 << 62, "808080808080808040")],
)
def test_known_ones(number: int, made: str) -> None:
    assert varint.encode(number).hex() == made


@pytest.mark.parametrize("data", ["", "80", "8000", "ac8200", "ff" * 9 + "01", "80" * 8, "80" * 9])
def test_what_is_none(data: str) -> None:
    with pytest.raises(varint.VarintError):
        varint.decode(bytes.fromhex(data))


@pytest.mark.parametrize("number", [-1, 1 << 63])
def test_no_number_that_has_no_place(number: int) -> None:
    with pytest.raises(varint.VarintError):
        varint.encode(number)
