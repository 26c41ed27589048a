"""A node's settings: its own, but for what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.fleet.warming import settings_of

if TYPE_CHECKING:
    import pytest

PEER = "http://10.0.0.1:8484"


def test_who_has_peers_makes_no_further_connections_that_could_go_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FALLBACK_JOBS", "3")
    alone, with_peers = settings_of({"backoff_s": 1}), settings_of({"backoff_s": 1}, [PEER])
    assert (alone.connections, alone.peers, alone.jobs, alone.backoff_s) == (4, (), 3, 1)
    assert (with_peers.connections, with_peers.peers, with_peers.jobs) == (1, (PEER,), 3)
    assert settings_of({"connections": 2}, [PEER]).connections == 2
    assert settings_of({"peers": (PEER,)}).connections == 4, (
        "a peer that this machine lists is one more source"
    )
