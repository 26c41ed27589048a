"""CIDs in text and bytes; what is none, or cannot prove anything here, is refused by name."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs.cid import BASE36, DAG_PB, IDENTITY, RAW, SHA2_256, Cid, CidError, _to_base

HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
V0 = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"

CIDS = st.one_of(
    st.builds(
        Cid,
        st.just(1),
        st.sampled_from([RAW, DAG_PB]),
        st.just(SHA2_256),
        st.binary(min_size=32, max_size=32),
    ),
    st.builds(Cid, st.just(1), st.sampled_from([RAW, DAG_PB]), st.just(IDENTITY), st.binary(max_size=128)),
    st.builds(Cid, st.just(0), st.just(DAG_PB), st.just(SHA2_256), st.binary(min_size=32, max_size=32)),
)


@given(CIDS, st.binary())
def test_text_and_bytes_come_back(cid: Cid, more: bytes) -> None:
    assert Cid.parse(str(cid)) == cid
    data = cid.encode()
    assert Cid.read(data + more) == (cid, len(data))


@given(CIDS.filter(lambda cid: cid.version == 1))
def test_every_base_that_gateways_take_is_read(cid: Cid) -> None:
    data = cid.encode()
    assert Cid.parse("f" + data.hex()) == cid
    assert Cid.parse("F" + data.hex().upper()) == cid
    assert Cid.parse(str(cid).upper()) == cid
    assert Cid.parse("k" + _to_base(data, BASE36)) == cid
    assert Cid.parse("K" + _to_base(data, BASE36).upper()) == cid


def test_known_ones() -> None:
    block = b"hello world"
    cid = Cid.of(block, RAW)
    assert str(cid) == HELLO
    assert (cid.proves(block), cid.proves(block + b"!")) == (True, False)
    assert str(Cid.parse(V0)) == V0
    assert Cid.parse("bafkqaaa") == Cid(1, RAW, IDENTITY, b"")
    assert Cid.parse("bafkqaaa").proves(b"")
    assert Cid(1, RAW, SHA2_256, hashlib.sha256(block).digest()) == cid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "bafy",
        "Qm",
        V0[:-1],
        V0 + "a",
        V0.replace("f", "0"),
        "z" + V0,
        HELLO[:-1],
        HELLO + "a",
        HELLO.replace("a", "1"),
        HELLO[:-1] + "f",  # a bit that stands for nothing is set
        "u" + HELLO[1:],
        "f01",
        "f0155 1220",
        "placeholder",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi\n",
        "b" + "a" * 600,
        "\N{ARABIC-INDIC DIGIT SEVEN}",
    ],
)
def test_no_cid(text: str) -> None:
    with pytest.raises(CidError):
        Cid.parse(text)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("01701220" + "00" * 31, "cut off"),
        ("0170121f" + "00" * 31, "digest of 31"),
        ("01701320" + "00" * 32, "hash function 0x13"),
        ("01721220" + "00" * 32, "codec 0x72"),
        ("02701220" + "00" * 32, "version 2"),
        ("0155008101" + "00" * 129, "digest of 129"),
        ("80", "cut off"),
    ],
)
def test_what_cannot_prove_anything_is_refused_by_name(data: str, why: str) -> None:
    with pytest.raises(CidError, match=why):
        Cid.read(bytes.fromhex(data))


@given(st.text(max_size=80) | st.text(BASE36, min_size=1, max_size=80).map(lambda text: "b" + text))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        cid = Cid.parse(text)
    except CidError:
        return
    assert Cid.parse(str(cid)) == cid


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        cid, end = Cid.read(data)
    except CidError:
        return
    assert data[:end] == cid.encode()


def test_bytes_behind_a_cid_are_refused() -> None:
    """Else one CID had any number of names."""
    data = Cid.of(b"x", RAW).encode()
    assert Cid.whole(data) == Cid.of(b"x", RAW)
    for more in (data + b"\0", data + data):
        with pytest.raises(CidError, match="too many"):
            Cid.whole(more)
        with pytest.raises(CidError, match="too many"):
            Cid.parse(f"f{more.hex()}")
