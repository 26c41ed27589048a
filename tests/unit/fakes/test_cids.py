from __future__ import annotations

import base64

import pytest

from fakes.catalogue import placeholder_cid
from fakes.cids import IDENTITY, LABEL, as_label, is_cid

# The empty UnixFS folder, a well-known block (dag-pb `08 01`), in every spelling.
EMPTY_FOLDER = {
    "v0": "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
    "base32": "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    "upper": "BAFYBEICZSSCDSBS7FFQZ55ASQDF3SMV6KLCW3GOFSZVWLYARCI47BGF354",
}


@pytest.mark.parametrize("cid", EMPTY_FOLDER.values(), ids=EMPTY_FOLDER)
def test_every_spelling_has_one_label(cid: str) -> None:
    assert is_cid(cid)
    assert as_label(cid) == EMPTY_FOLDER["base32"]


@pytest.mark.parametrize("alphabet", ["z58", "k36"])
def test_other_bases_are_the_same_number(alphabet: str) -> None:
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    digits = digits if alphabet == "z58" else "0123456789abcdefghijklmnopqrstuvwxyz"
    data = bytes.fromhex("01701220" + "59" * 32)
    number = int.from_bytes(data, "big")
    spelled = ""
    while number:
        number, digit = divmod(number, len(digits))
        spelled = digits[digit] + spelled
    assert as_label(alphabet[0] + spelled) == "b" + base64.b32encode(data).decode().lower().rstrip("=")


def test_what_is_none() -> None:
    assert not any(map(is_cid, ("", "x", "Qm", "bafy 1", "bafk0000000", "../etc", f"{IDENTITY}\n")))
    assert all(map(is_cid, (IDENTITY, placeholder_cid("x"))))
    assert len(as_label(placeholder_cid("x"))) <= LABEL
