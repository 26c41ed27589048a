"""The published vectors of IPIP-499 (tests/vectors/ipip499.json says where they are from)."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from fallback.ipfs import building
from fallback.ipfs.unixfs import PROFILES

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[3] / "vectors/ipip499.json").read_text("utf-8"))
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz01234567890-_"
"""What a byte of a name's key stream stands for, modulo the length; 0 stands there twice."""

FILES = [
    pytest.param(*each, marks=pytest.mark.large if each[2] > 1 << 28 else (), id=f"{each[0]}-{each[2]}")
    for each in VECTORS["files"]
]


class KeyStream(io.RawIOBase):
    """The first `size` bytes of ChaCha20's key stream, the key being the seed's SHA-256."""

    def __init__(self, seed: str, size: int) -> None:
        key = hashlib.sha256(seed.encode()).digest()
        self._cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left) if size >= 0 else self._left
        self._left -= size
        return self._cipher.update(bytes(size))


@pytest.mark.parametrize(("profile", "seed", "size", "cid"), FILES)
def test_files(profile: str, seed: str, size: int, cid: str) -> None:
    built = building.file(KeyStream(seed, size), PROFILES[profile])  # type: ignore[arg-type]  # a raw stream will do
    assert (str(built.cid), built.size) == (cid, size)


@pytest.mark.parametrize("what", VECTORS["literal"])
@pytest.mark.parametrize("profile", ["unixfs-v0-2015", "unixfs-v1-2025"])
def test_literals(what: str, profile: str) -> None:
    rules = PROFILES[profile]
    if what == "empty dir":
        built = building.directory({}, rules)
    else:
        built = building.file(io.BytesIO(what.encode()), rules)
    assert str(built.cid) == VECTORS["literal"][what][profile]


@pytest.mark.parametrize(
    ("profile", "count", "length", "last", "cid"),
    [
        ("unixfs-v0-2015", 4096, 30, 30, "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN"),
        ("unixfs-v0-2015", 4033, 31, 31, "QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP"),
        ("unixfs-v1-2025", 4766, 11, 21, "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4"),
        ("unixfs-v1-2025", 4766, 11, 22, "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu"),
    ],
)
def test_directories_just_small_enough_for_one_block_and_just_too_large(
    profile: str, count: int, length: int, last: int, cid: str
) -> None:
    assert cid in VECTORS["dirs"]
    stream = KeyStream(f"hamt-{profile}", 1 << 20)
    lengths = [length] * (count - 1) + [last]
    names = [
        "".join(NAME_CHARACTERS[byte % len(NAME_CHARACTERS)] for byte in stream.read(size))
        for size in lengths
    ]
    one = building.file(io.BytesIO(b"x"), PROFILES[profile])
    assert str(building.directory(dict.fromkeys(names, one), PROFILES[profile]).cid) == cid
