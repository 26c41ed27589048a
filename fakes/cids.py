"""CIDs as names: what looks like one, and how one is spelled as a DNS label. What they are hashes of is nobody's business here."""

from __future__ import annotations

import base64
import re

LABEL = 63  # characters of a DNS label, at most (RFC 1035 section 2.3.4)
IDENTITY = "bafkqaaa"
"""The CID of nothing: its bytes, none, are in the name. Clients ask for it to see whether a gateway is trustless."""

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# CIDv0; CIDv1 in base32 (either case), base58btc, base36. An alphabet is all that an opaque name can be held to.
_CID = re.compile(
    rf"Qm[{_BASE58}]{{44}}|b[a-z2-7]{{7,}}|B[A-Z2-7]{{7,}}|z[{_BASE58}]{{7,}}|k[{_BASE36}]{{7,}}"
)


def is_cid(text: str) -> bool:
    """Whether it may be a CID, by its form alone."""
    return _CID.fullmatch(text) is not None


def as_label(cid: str) -> str:
    """The same CID as version 1 in lower-case base32, which is what a host name can hold; it may be longer than LABEL."""
    if cid[0] in "bB":
        return cid.lower()
    # A CIDv0 is a bare multihash: version 1 says so, and that it is of dag-pb (0x70).
    data = (
        b"\x01\x70" + _number(cid, _BASE58) if cid.startswith("Qm") else _number(cid[1:], _alphabet(cid[0]))
    )
    return "b" + base64.b32encode(data).decode().lower().rstrip("=")


def _alphabet(multibase: str) -> str:
    return _BASE58 if multibase == "z" else _BASE36


def _number(digits: str, alphabet: str) -> bytes:
    """The bytes that the digits are as one number; a CID begins with no zero byte that could be lost."""
    number = 0
    for digit in digits:
        number = number * len(alphabet) + alphabet.index(digit)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
