"""What a service answers is a CID or an outcome, whatever it is."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.ipfs.cid import DAG_PB, Cid
from fallback.ipfs.unixfs import V1_2025
from fallback.manifest import Model
from fallback.outcome import Failed
from fallback.publish.package import Package
from fallback.publish.targets import Kubo, Pinata, PinataV3

if TYPE_CHECKING:
    from fallback.publish.targets import Target

ROOT = Cid.of(b"root", DAG_PB)
PACKAGE = Package(Model("m", "m", "m", ()), V1_2025, ROOT, {}, {}, {}, 0)
TARGETS: tuple[Target, ...] = (Kubo("http://k"), Pinata("http://p", {}), PinataV3("http://p", {}))
KEYS = st.sampled_from(["Root", "Cid", "/", "Stats", "Message", "PinErrorMsg", "IpfsHash", "data", "cid"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just(str(ROOT)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=3))
def test_whatever_comes_is_a_cid_or_an_outcome(lines: list[Any]) -> None:
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    for target in TARGETS:
        with contextlib.suppress(Failed):
            assert isinstance(target.cid(body, PACKAGE), Cid)


@pytest.mark.parametrize("cid", [str(ROOT), [str(ROOT)], None, {"/": 1}])
def test_a_root_that_is_told_otherwise_is_no_root(cid: Any) -> None:
    """As a string, say, where dag-json has an object with one key."""
    body = json.dumps({"Root": {"Cid": cid}}) + '\n{"Stats": {}}'
    with pytest.raises(Failed, match="without a CID"):
        Kubo("http://k").cid(body.encode(), PACKAGE)
