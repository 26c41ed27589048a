"""CIDs: what names a block by its bytes. Versions 0 and 1; sha2-256 and identity; raw and dag-pb.

Text: version 0 in base58btc (`Qm…`), version 1 written in base32 (`b…`) and read in base16, base32,
base36 and base58btc too, as gateways accept them. Other hashes and codecs are refused by name:
nothing here could prove bytes against them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fallback.ipfs import varint

if TYPE_CHECKING:
    from collections.abc import Callable

RAW = 0x55
DAG_PB = 0x70
SHA2_256 = 0x12
IDENTITY = 0x00
MAX_IDENTITY = 128
"""Bytes an identity CID may carry (IPIP-512)."""

MAX_TEXT = 512
"""No CID is longer, whatever its base: 128 identity bytes in base16 are 266."""

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class CidError(ValueError):
    """Not a CID, or one of a kind that is not supported."""


@dataclass(frozen=True, slots=True)
class Cid:
    """A CID: `codec` of the block it names, `hash` function and `digest` of its bytes."""

    version: int
    codec: int
    hash: int
    digest: bytes

    @classmethod
    def of(cls, block: bytes | memoryview, codec: int, *, version: int = 1) -> Self:
        """The CID of a block, by sha2-256."""
        return cls(version, codec, SHA2_256, hashlib.sha256(block).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """A CID from text.

        Raises:
            CidError: it is none, or none that can be used here.
        """
        if len(text) > MAX_TEXT:
            raise CidError("too long for a CID")
        if len(text) == 46 and text.startswith("Qm"):
            return cls.whole(_from_base(text, BASE58))
        if text[:1] not in _BASES:
            raise CidError("not a CID: it is neither Qm…, nor in base16, base32, base36 or base58btc")
        made = cls.whole(_BASES[text[0]](text[1:]))
        if made.version == 0:
            raise CidError("a CID of version 0 has no base prefix")
        return made

    @classmethod
    def read(cls, data: bytes | memoryview, at: int = 0) -> tuple[Self, int]:
        """The CID that begins at `data[at]`, and where it ends.

        Raises:
            CidError: there is none, or none that can be used here.
        """
        try:
            if bytes(data[at : at + 2]) == bytes([SHA2_256, 32]):
                return cls._hashed(0, DAG_PB, data, at)
            version, at = varint.decode(data, at)
            if version != 1:
                raise CidError(f"not a CID: version {version}")
            codec, at = varint.decode(data, at)
            return cls._hashed(1, codec, data, at)
        except varint.VarintError as error:
            raise CidError(f"not a CID: {error}") from None

    @classmethod
    def whole(cls, data: bytes) -> Self:
        """A CID from bytes, all of them.

        Raises:
            CidError: as `read`; or it ends before they do.
        """
        made, end = cls.read(data)
        if end != len(data):
            raise CidError(f"{len(data) - end} bytes too many for a CID")
        return made

    @classmethod
    def _hashed(cls, version: int, codec: int, data: bytes | memoryview, at: int) -> tuple[Self, int]:
        if codec not in {RAW, DAG_PB}:
            raise CidError(f"codec 0x{codec:x} is not supported, only raw and dag-pb are")
        function, at = varint.decode(data, at)
        size, at = varint.decode(data, at)
        if function not in {SHA2_256, IDENTITY}:
            raise CidError(f"hash function 0x{function:x} is not supported, only sha2-256 and identity are")
        if size != 32 if function == SHA2_256 else size > MAX_IDENTITY:
            raise CidError(f"a digest of {size} bytes")
        digest = bytes(data[at : at + size])
        if len(digest) < size:
            raise CidError("a CID is cut off")
        return cls(version, codec, function, digest), at + size

    def encode(self) -> bytes:
        """The CID as bytes."""
        multihash = varint.encode(self.hash) + varint.encode(len(self.digest)) + self.digest
        return multihash if self.version == 0 else varint.encode(1) + varint.encode(self.codec) + multihash

    def __str__(self) -> str:
        if self.version == 0:
            return _to_base(self.encode(), BASE58)
        return "b" + base64.b32encode(self.encode()).decode("ascii").rstrip("=").lower()

    def proves(self, block: bytes | memoryview) -> bool:
        """Whether `block` is the block this CID names."""
        return self.digest == (bytes(block) if self.hash == IDENTITY else hashlib.sha256(block).digest())


def _base16(text: str) -> bytes:
    try:
        return bytes.fromhex(text) if text.isalnum() else _refuse("base16")
    except ValueError:
        return _refuse("base16")


def _base32(text: str) -> bytes:
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)
    except (binascii.Error, ValueError):
        return _refuse("base32")
    # Bits that stand for nothing must be 0, or one CID had several names.
    return data if base64.b32encode(data).decode("ascii").rstrip("=") == text.upper() else _refuse("base32")


def _from_base(text: str, alphabet: str) -> bytes:
    number = 0
    for char in text:
        digit = alphabet.find(char)
        if digit < 0:
            _refuse(f"base{len(alphabet)}")
        number = number * len(alphabet) + digit
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _to_base(data: bytes, alphabet: str) -> str:
    number, made = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        made = alphabet[digit] + made
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + made


def _refuse(base: str) -> bytes:
    raise CidError(f"not {base}")


_BASES: dict[str, Callable[[str], bytes]] = {
    "f": _base16,
    "F": _base16,
    "b": _base32,
    "B": _base32,
    "k": lambda text: _from_base(text, BASE36),
    "K": lambda text: _from_base(text.lower(), BASE36),
    "z": lambda text: _from_base(text, BASE58),
}
