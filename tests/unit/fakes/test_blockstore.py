"""The blockstore: one block for every CID of the same hash."""

from __future__ import annotations

import pytest

from fakes.blockstore import Blockstore
from fallback.ipfs.car import MissingBlockError
from fallback.ipfs.cid import DAG_PB, RAW, Cid


def test_a_block_is_found_by_every_cid_of_its_hash() -> None:
    store = Blockstore()
    store.put(Cid.of(b"bytes", RAW), memoryview(b"bytes"))
    assert store(Cid.of(b"bytes", RAW)) == b"bytes"
    assert store(Cid.of(b"bytes", DAG_PB, version=0)) == b"bytes"
    assert Cid.of(b"bytes", DAG_PB) in store
    assert len(store) == 1


def test_what_is_not_here_is_named() -> None:
    missing = Cid.of(b"other", RAW)
    assert missing not in Blockstore()
    with pytest.raises(MissingBlockError, match=str(missing)):
        Blockstore()(missing)


def test_an_identity_cid_is_its_own_block() -> None:
    assert Blockstore()(Cid.parse("bafkqaaa")) == b""
    assert Cid.parse("bafkqaaa") in Blockstore()
