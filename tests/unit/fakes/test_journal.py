from __future__ import annotations

import dataclasses
import json
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from fakes.answer import Request
from fakes.faults import Hang, Stall
from fakes.journal import Journal
from fakes.world import World

if TYPE_CHECKING:
    from typing import Any

    from tests.unit.fakes.conftest import Talk


def test_an_entry_says_who_asked_what_and_how_it_ended(world: World, big: str, talk: Talk) -> None:
    before = time.time()
    talk(f"{big}?download=true", "Range: bytes=1-5", "X-Mine: Yes")
    (entry,) = world.journal
    assert (entry.seq, entry.server, entry.method) == (0, "gateway1", "GET")
    assert entry.path == urlsplit(big).path.replace("%20", " ")
    assert (entry.query, entry.range, entry.headers["x-mine"]) == ("download=true", "bytes=1-5", "Yes")
    assert (entry.status, entry.bytes_sent, entry.faults, entry.ended) == (206, 5, (), "complete")
    assert before <= entry.time <= time.time()
    assert 0 <= entry.seconds < 5
    assert entry.client.startswith("127.0.0.1:")
    assert json.loads(json.dumps(entry.to_dict()))["headers"]["x-mine"] == "Yes"
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.status = 1  # type: ignore[misc]  # the point


def test_an_entry_is_there_while_the_request_lasts(world: World, big: str) -> None:
    world.add("gateway1", Hang(seconds=30))
    parts = urlsplit(big)
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.05)
        assert (world.journal[-1].ended, world.journal[-1].faults) == ("open", ("hang",))
    assert world.journal[-1].ended == "client-closed"


def test_what_a_client_saw_is_in_the_journal_when_it_looks(world: World, big: str, talk: Talk) -> None:
    """No sleep anywhere: reading lets the loop catch up first."""
    for count in range(1, 200):
        talk(big)
        assert [entry.ended for entry in world.journal] == ["complete"] * count


def test_select_sum_and_clear(world: World, big: str, content: bytes, talk: Talk) -> None:
    talk(big)
    talk(big.replace(world.gateways[0], world.gateways[1]), method="HEAD")
    journal = world.journal
    assert len(journal) == 2
    assert len(journal.select(server="gateway*")) == 2
    assert [entry.server for entry in journal.select(method="HEAD")] == ["gateway2"]
    assert journal.select(path="*.json") == []
    assert journal.bytes_sent(server="gateway1") == journal.bytes_sent() == len(content)
    journal.clear()
    assert journal.entries() == []
    talk(big)
    assert journal[0].seq == 2  # numbers are never used twice


def test_an_entry_cleared_while_open_stays_away() -> None:
    journal = Journal()
    record = journal.open(Request("hub", "GET", "/"), ())
    journal.clear()
    record.status(200)
    record.sent(5)
    record.ended("complete")
    assert journal.entries() == []


def test_with_a_small_send_buffer_bytes_sent_are_what_a_client_took(tiny: dict[str, Any]) -> None:
    """A client that reads 100 kB of 8 MB and leaves: the kernels between hold little more."""
    tiny["tiny"]["files"]["config.json"]["size"] = 8_000_000
    with World(tiny, size="full", send_buffer=16 * 1024) as world:
        cid = world.manifest()["tiny"]["ipfs"]["cid"]
        parts = urlsplit(world.gateways[0])
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            sock.connect((parts.hostname, parts.port))
            sock.sendall(f"GET /ipfs/{cid}/config.json HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            taken = 0
            while taken < 100_000:
                taken += len(sock.recv(4096))
            time.sleep(0.05)
        assert world.journal[-1].ended == "client-closed"
        assert taken - 1000 < world.journal[-1].bytes_sent < taken + 200_000


def test_a_stall_is_held_and_its_time_runs_until_the_client_leaves(
    world: World, big: str, talk: Talk
) -> None:
    world.add("gateway1", Stall())
    talk(big, timeout=0.15)
    assert world.journal[-1].ended == "held"
    assert world.journal[-1].seconds >= 0.15


def test_a_world_that_serves_for_days_keeps_the_newest() -> None:
    journal = Journal(most=3)
    records = [journal.open(Request("gateway1", "GET", f"/{number}"), ()) for number in range(5)]
    records[0].ended("complete")
    assert [(entry.seq, entry.path) for entry in journal] == [(2, "/2"), (3, "/3"), (4, "/4")]
