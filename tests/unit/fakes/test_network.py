"""The network's faults as a socket sees them: when bytes come, how many, and how it ends."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from fakes.faults import (
    Bandwidth,
    Blackhole,
    Latency,
    LimitData,
    Refused,
    Reset,
    ResetPeer,
    Slicer,
    SlowClose,
    Status,
    Timeout,
)
from fakes.proxy import Chunk
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.faults import Fault
    from tests.unit.fakes.conftest import Talk

SIZE = 200_000
MODELS: dict[str, Any] = {"tiny": {"files": {"model.onnx": {"size": SIZE}}}}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=2) as world:
        yield world


@pytest.fixture(name="url")
def _url(world: World) -> str:
    return f"{world.gateways[0]}/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/model.onnx"


def packets(url: str, *, quiet_s: float = 5) -> tuple[list[tuple[float, bytes]], float]:
    """What each receive brought and when, in seconds since the request; and when the end came."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=quiet_s) as sock:
        began = time.monotonic()
        sock.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        heard = []
        while data := sock.recv(1 << 16):
            heard.append((time.monotonic() - began, data))
        return heard, time.monotonic() - began


def body(heard: list[tuple[float, bytes]]) -> bytes:
    return b"".join(data for _, data in heard).partition(b"\r\n\r\n")[2]


class TestToxics:
    @pytest.mark.fault(60)
    def test_latency_delays_every_byte_and_no_byte_twice(self, url: str, world: World) -> None:
        world.add("gateway1", Latency(latency=200))
        heard, over = packets(url)
        assert heard[0][0] >= 0.2
        assert over < 0.2 + 1, "each chunk waited for the one before"
        assert len(body(heard)) == SIZE
        assert [entry.faults for entry in world.journal] == [("latency",), ()]
        assert {entry.ended for entry in world.journal} == {"complete"}

    @pytest.mark.fault(60)
    def test_latency_upstream_delays_the_request(self, url: str, world: World) -> None:
        world.add("gateway1", Latency(latency=200, jitter=50, stream="upstream"))
        heard, _ = packets(url)
        assert heard[0][0] >= 0.15
        assert len(body(heard)) == SIZE

    @pytest.mark.fault(57)
    def test_bandwidth_is_kilobytes_a_second(self, url: str, world: World) -> None:
        world.add("gateway1", Bandwidth(rate=1000))
        heard, over = packets(url)
        assert over >= 0.2
        assert len(body(heard)) == SIZE
        assert sum(len(data) for at, data in heard if at < 0.1) <= 100_000

    def test_connections_over_one_line_share_its_bandwidth(self, url: str, world: World) -> None:
        """Whichever servers they are to."""
        for number in (1, 2):
            world.add(f"gateway{number}", Bandwidth(rate=1000, line="outside"))
        began = time.monotonic()  # not each by its own beginning: one thread may begin late
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(packets, [url, url.replace(world.gateways[0], world.gateways[1])])
            (first, _), (second, _) = answers
        assert len(body(first)) == len(body(second)) == SIZE
        assert time.monotonic() - began >= 0.39

    @pytest.mark.fault(59)
    def test_slow_close_is_late_with_the_end_alone(self, url: str, world: World) -> None:
        world.add("gateway1", SlowClose(delay=300))
        heard, over = packets(url)
        assert len(body(heard)) == SIZE
        assert over - heard[-1][0] >= 0.25

    @pytest.mark.fault(7)
    def test_timeout_is_silence_for_ever(self, url: str, world: World) -> None:
        world.add("gateway1", Timeout())
        with pytest.raises(TimeoutError):
            packets(url, quiet_s=0.3)
        assert (world.journal[0].faults, world.journal[0].ended) == (("timeout",), "held")

    @pytest.mark.fault(7)
    def test_or_an_end_without_a_byte(self, url: str, world: World) -> None:
        world.add("gateway1", Timeout(timeout=200))
        heard, over = packets(url)
        assert heard == []
        assert over >= 0.2
        assert world.journal[0].ended == "truncated"

    @pytest.mark.fault(7)
    def test_upstream_the_server_never_hears_of_it(self, url: str, world: World) -> None:
        world.add("gateway1", Timeout(timeout=100, stream="upstream"))
        assert packets(url)[0] == []
        assert [entry.path for entry in world.journal] == [""]

    @pytest.mark.fault(6)
    def test_reset_peer_is_a_rst_and_not_a_byte(self, url: str, world: World) -> None:
        world.add("gateway1", ResetPeer(timeout=100))
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            packets(url)
        assert time.monotonic() - began >= 0.1
        assert world.journal[0].ended == "reset"

    @pytest.mark.fault(56)
    def test_slicer_slices(self, url: str, world: World) -> None:
        world.add("gateway1", Slicer(average_size=20_000, size_variation=5_000, delay=2_000))
        heard, over = packets(url)
        assert len(body(heard)) == SIZE
        assert max(len(data) for _, data in heard) <= 2 * 25_000, "two slices may be read at once"
        assert over >= 8 * 0.002

    @pytest.mark.fault(46)
    @pytest.mark.parametrize("limit", [0, 100, 150_000])
    def test_limit_data_closes_after_so_many_bytes(self, url: str, world: World, limit: int) -> None:
        world.add("gateway1", LimitData(bytes=limit))
        heard, _ = packets(url)
        assert sum(len(data) for _, data in heard) == limit
        assert world.journal[0].ended == "truncated"

    def test_they_compose(self, url: str, world: World) -> None:
        world.add("gateway1", Latency(latency=100))
        world.add("gateway1", Slicer(average_size=10_000))
        world.add("gateway1", LimitData(bytes=50_000))
        heard, _ = packets(url)
        assert heard[0][0] >= 0.1
        assert sum(len(data) for _, data in heard) == 50_000
        assert world.journal[0].faults == ("latency", "slicer", "limit_data")

    def test_with_those_of_the_server_too(self, url: str, world: World) -> None:
        world.add("gateway1", Latency(latency=100))
        world.add("gateway1", Status(status=418))
        heard, _ = packets(url)
        assert heard[0][0] >= 0.1
        assert heard[0][1].startswith(b"HTTP/1.1 418")

    def test_a_reset_behind_is_a_reset_in_front(self, url: str, world: World) -> None:
        world.add("gateway1", Latency(latency=1))
        world.add("gateway1", Reset(offset=1000))
        with pytest.raises(ConnectionResetError):
            packets(url)

    @pytest.mark.parametrize(
        ("toxic", "values", "says"),
        [
            (Bandwidth, {"rate": 0}, "rate is more than 0"),
            (Slicer, {"average_size": 5, "size_variation": 5}, "less than average_size"),
            (Slicer, {"delay": -1}, "delay is 0 or more"),
            (LimitData, {"bytes": -1}, "bytes is 0 or more"),
            (Latency, {"jitter": -1}, "jitter is 0 or more"),
            (SlowClose, {"delay": -1}, "delay is 0 or more"),
            (Timeout, {"timeout": -1}, "timeout is 0 or more"),
            (ResetPeer, {"timeout": -1}, "timeout is 0 or more"),
        ],
    )
    def test_what_is_wrong_is_said(self, toxic: Any, values: dict[str, Any], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            toxic(**values)


class TestAims:
    def test_others_are_not_delayed(self, url: str, world: World) -> None:
        world.add("gateway1", Timeout())
        assert requests.get(url.replace(world.gateways[0], world.gateways[1]), timeout=5).ok

    def test_every_second_connection(self, url: str, world: World) -> None:
        world.add("gateway1", LimitData(bytes=0), nth=2)
        assert [len(packets(url)[0]) > 0 for _ in range(3)] == [True, False, True]

    def test_probability_is_toxicity(self, url: str, world: World) -> None:
        world.add("gateway1", LimitData(bytes=0), probability=0.5, seed=3)
        got = [len(packets(url)[0]) > 0 for _ in range(12)]
        assert 0 < sum(got) < 12

    def test_a_kept_connection_is_not_kept_across_a_change(self, url: str, world: World) -> None:
        """A fault of the network strikes connections made from then on, and there are no others."""
        with requests.Session() as session:
            assert session.get(url, timeout=5).ok
            number = world.add("gateway1", Latency(latency=150))
            began = time.monotonic()
            assert session.get(url, timeout=5).ok
            assert time.monotonic() - began >= 0.15
            world.remove(number)
            assert session.get(url, timeout=5).ok
        with requests.Session() as session:
            before = len(world.journal)
            assert session.get(url, timeout=5).ok
            assert len(world.journal) == before + 1, "the network is in front no more"

    def test_no_path_and_no_method(self, world: World) -> None:
        with pytest.raises(ValueError, match="comes before any request"):
            world.add("gateway1", Latency(), path="*.onnx")

    def test_over_tls(self) -> None:
        with World(MODELS, size="full", gateways=1, https=True) as world:
            world.add("gateway1", Latency(latency=100))
            path = f"/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/model.onnx"
            began = time.monotonic()
            answer = requests.get(world.gateways[0] + path, timeout=5, verify=str(world.ca))
            assert len(answer.content) == SIZE
            assert time.monotonic() - began >= 0.2, "the handshake is late, too"

    def test_a_world_ends_with_clients_on_hold(self) -> None:
        with World(MODELS, size="full", gateways=1) as world:
            world.add("gateway1", Timeout())
            parts = urlsplit(world.gateways[0])
            sock = socket.create_connection((parts.hostname, parts.port), timeout=5)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.1)
        with sock:
            assert sock.recv(1) == b""


class TestBlackhole:
    @pytest.mark.fault(2)
    def test_no_connection_is_made_or_refused(self, world: World) -> None:
        world.add("gateway1", Blackhole())
        parts = urlsplit(world.gateways[0])
        with pytest.raises(TimeoutError):
            socket.create_connection((parts.hostname, parts.port), timeout=0.3)
        assert len(world.journal) == 0

    @pytest.mark.fault(2)
    def test_open_ones_are_reset_and_later_ones_are_well(self, world: World, url: str, talk: Talk) -> None:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            sock.sendall(f"HEAD {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert sock.recv(1 << 16)
            number = world.add("gateway1", Blackhole())
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        world.remove(number)
        assert talk(url).status == 200

    @pytest.mark.parametrize("fault", [Refused(), Latency(latency=1)])
    def test_from_and_to_any_other_state(self, world: World, url: str, fault: Fault, talk: Talk) -> None:
        hole = world.add("gateway1", Blackhole())
        other = world.add("gateway1", fault)
        world.remove(hole)
        hole = world.add("gateway1", Blackhole())
        world.remove(other)
        world.remove(hole)
        assert talk(url).status == 200


def test_a_chunk_in_parts() -> None:
    assert [part.data for part in Chunk(b"abcdef", 0).parts([2, 4])] == [b"ab", b"cd", b"ef"]
    assert [part.data for part in Chunk(b"abc", 0).parts([3, 9])] == [b"abc"]
    assert [part.data for part in Chunk(b"abc", 0).parts([0])] == [b"", b"abc"]
