"""Proof: a file, exactly; and where it has no digest, the little that is known."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.errors import DigestError, SizeError, VerificationError
from fallback.manifest import File
from fallback.verify import Proof, prove

DATA = b"0123456789"


def file_of(data: bytes, path: str = "a.bin") -> File:
    return File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@given(st.binary(max_size=200), st.data())
def test_the_file_in_any_pieces_is_the_file(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)))))
    proof = Proof(file_of(data))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        proof.update(data[start:end])
    assert (proof.finish(), proof.size) == (hashlib.sha256(data).hexdigest(), len(data))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_other_bytes_never_pass(data: bytes, other: bytes) -> None:
    if data == other:
        prove(file_of(data), io.BytesIO(other))
        return
    with pytest.raises(SizeError if len(data) != len(other) else DigestError):
        prove(file_of(data), io.BytesIO(other))


def test_too_many_bytes_are_refused_as_they_come() -> None:
    """Not at the end: there may be none."""
    proof = Proof(file_of(DATA))
    proof.update(DATA)
    with pytest.raises(SizeError, match="11 bytes where 10 were promised"):
        proof.update(b"x")


def test_a_wrong_first_chunk_is_refused_after_a_mib() -> None:
    """Where the manifest lists chunks; in whatever pieces it comes."""
    data = bytes(3 << 20)
    chunks = tuple(hashlib.sha256(bytes(1 << 20)).hexdigest() for _ in range(3))
    file = File("a", len(data), hashlib.sha256(data).hexdigest(), chunks=chunks)
    assert prove(file, io.BytesIO(data)).finish() == file.sha256
    for piece in (1000, 1 << 20, 3 << 20):
        proof = Proof(file)
        wrong = io.BytesIO(b"x" + data[1:])
        with pytest.raises(DigestError):
            any(map(proof.update, iter(lambda: wrong.read(piece), b"")))  # noqa: B023 - used at once
        assert proof.size < (1 << 20) + piece + 1


def test_a_digest_alone_is_enough() -> None:
    """`fallback get` knows no size."""
    file = File(path="a", size=None, sha256=hashlib.sha256(DATA).hexdigest())
    assert prove(file, io.BytesIO(DATA)).finish() == file.sha256
    with pytest.raises(DigestError):
        prove(file, io.BytesIO(DATA + b"x"))


@pytest.mark.parametrize(
    ("path", "data", "right"),
    [
        ("a.bin", b"12345678", True),
        ("a.bin", b"1234567", False),
        ("a.onnx", b"\x08" + bytes(9), True),
        ("a.onnx", bytes(10), False),
        ("a.onnx", b"\x08" + bytes(6), False),
    ],
)
def test_without_a_digest_80_percent_and_a_head_are_all(path: str, data: bytes, right: bool) -> None:  # noqa: FBT001 - a case
    """The original's rule, behind a setting whose name says unsafe."""
    file = File(path=path, size=10, sha256=None)
    if right:
        assert prove(file, io.BytesIO(data)).finish() == hashlib.sha256(data).hexdigest()
    else:
        with pytest.raises(VerificationError):
            prove(file, io.BytesIO(data))
