"""The fake peer, as a client meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.answer import Request
from fakes.catalogue import Catalogue
from fakes.peer import Peer
from fakes.world import World

if TYPE_CHECKING:
    from pathlib import Path

MODELS: dict[str, Any] = {"m": {"dir": "m", "files": {"a.bin": {"size": 1000}}}}


@pytest.fixture(name="catalogue")
def _catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(MODELS, scratch=tmp_path)


def ask(peer: Peer, path: str, method: str = "GET", **headers: str) -> tuple[int, str | None, int | None]:
    answer = peer(Request("peer1", method, path, headers=headers))
    return answer.status, answer.header("content-range"), answer.length


def test_it_has_each_file_by_its_digest(catalogue: Catalogue) -> None:
    (blob,) = catalogue.blobs()
    peer, path = Peer(catalogue), f"/files/sha256/{blob.sha256}"
    assert ask(peer, path) == (200, None, 1000)
    assert ask(peer, path, range="bytes=10-19") == (206, "bytes 10-19/1000", 10)
    assert ask(peer, path, range="bytes=1000-")[:2] == (416, "bytes */1000")
    assert ask(peer, f"/files/sha256/{'0' * 64}")[0] == 404
    assert ask(peer, f"/other/{blob.sha256}")[0] == 404
    assert ask(peer, path, "POST")[0] == 405
    assert peer(Request("peer1", "GET", path)).header("etag") == f'"{blob.sha256}"'


def test_a_world_has_as_many_as_it_is_told() -> None:
    with World(MODELS, peers=2, peer_token="canary") as world:
        assert list(world.urls)[-2:] == ["peer1", "peer2"]
        assert world.environment()["FALLBACK_PEERS"] == ",".join(world.peers)
        sha256 = world.manifest()["m"]["files"]["a.bin"]["sha256"]
        for peer in world.peers:
            url, bearer = f"{peer}/files/sha256/{sha256}", {"Authorization": "Bearer canary"}
            assert requests.get(url, timeout=5).status_code == 401
            assert len(requests.get(url, headers=bearer, timeout=5).content) == 1000
        assert [entry.server for entry in world.journal.entries()] == ["peer1", "peer1", "peer2", "peer2"]
