"""Stretches of a file that are wrong or slow, and headers that claim what is not so, as a socket sees them."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Literal

import pytest
import requests

from fakes import faults

if TYPE_CHECKING:
    from fakes.faults import Fault
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk

SIZE = 40_000
IN_THE_FILE = [
    faults.SwappedBlocks(block=100),
    faults.Hole(offset=150, length=20),
    faults.GoodStart(good=150),
]


@pytest.mark.fault(42, 43, 109)
@pytest.mark.parametrize("fault", IN_THE_FILE, ids=lambda fault: fault.name)
@pytest.mark.parametrize(("start", "stop"), [(0, 99), (50, 160), (140, 180), (155, 160), (199, SIZE)])
def test_a_range_is_as_wrong_as_the_file(
    world: World, big: str, content: bytes, talk: Talk, fault: Fault, start: int, stop: int
) -> None:
    """The same byte in the same place, whoever asks for how much; the length is right, an error is left alone."""
    world.add("gateway1", fault)
    whole = talk(big)
    assert (whole.status, len(whole.body)) == (200, SIZE)
    assert whole.body != content
    assert talk(big, f"Range: bytes={start}-{stop - 1}").body == whole.body[start:stop]
    assert talk(f"{big}x").status == 404


@pytest.mark.fault(42)
@pytest.mark.parametrize(("block", "swapped"), [(100, 100), (65_536, 20_000), (1, 1)])
def test_swapped_blocks(world: World, big: str, content: bytes, talk: Talk, block: int, swapped: int) -> None:
    """Every byte is there; of a file shorter than two blocks, the halves change places."""
    world.add("gateway1", faults.SwappedBlocks(block))
    first, second, rest = content[:swapped], content[swapped : 2 * swapped], content[2 * swapped :]
    assert talk(big).body == second + first + rest


@pytest.mark.fault(43)
def test_a_hole(world: World, big: str, content: bytes, talk: Talk) -> None:
    world.add("gateway1", faults.Hole(length=1000))
    assert talk(big).body == content[:20_000] + bytes(1000) + content[21_000:]


@pytest.mark.fault(43)
def test_a_hole_over_the_end(world: World, big: str, content: bytes, talk: Talk) -> None:
    world.add("gateway1", faults.Hole(offset=-10))
    assert talk(big).body == content[:-10] + bytes(10)


@pytest.mark.fault(109)
def test_a_good_start(world: World, big: str, content: bytes, talk: Talk) -> None:
    """HEAD and the beginning are what an honest source would give."""
    right = talk(big, method="HEAD").headers
    world.add("gateway1", faults.GoodStart(good=1000))
    head, body = talk(big, method="HEAD").headers, talk(big).body
    assert {name: head[name] for name in head if name != "date"} == {
        n: right[n] for n in right if n != "date"
    }
    assert body == content[:1000] + bytes(255 - byte for byte in content[1000:])


@pytest.mark.fault(80)
@pytest.mark.parametrize("more", [1000, -1000])
def test_another_size(world: World, big: str, content: bytes, talk: Talk, more: int) -> None:
    """HEAD and GET agree with each other, and with no other source; a Range is not served."""
    world.add("gateway1", faults.OtherSize(more))
    head, get = talk(big, method="HEAD"), talk(big, "Range: bytes=5-")
    size = str(SIZE + more)
    assert (get.status, head.headers["content-length"], get.headers["content-length"]) == (200, size, size)
    assert get.body == (content + bytes(1000) if more > 0 else content[:-1000])
    assert talk(big.replace(world.gateways[0], world.gateways[1]), method="HEAD").headers[
        "content-length"
    ] == str(SIZE)


@pytest.mark.fault(45)
def test_a_file_that_is_empty_in_truth(world: World, talk: Talk) -> None:
    """No fault: 200, length 0, from gateway and Hub alike."""
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    heard = talk(f"{world.gateways[0]}/ipfs/{cid}/empty.txt")
    assert (heard.status, heard.headers["content-length"], heard.body) == (200, "0", b"")
    hub = requests.get(f"{world.hub}/org/tiny/resolve/main/empty.txt", timeout=5)
    assert (hub.status_code, hub.content) == (200, b"")


@pytest.mark.fault(47)
@pytest.mark.parametrize(("offset", "kept"), [(None, SIZE // 2), (0, 0), (-1, SIZE - 1)])
def test_cut_without_a_length(
    world: World, big: str, content: bytes, talk: Talk, offset: int | None, kept: int
) -> None:
    """Neither length nor chunks: nothing says that the end is none."""
    world.add("gateway1", faults.CutUnframed(offset))
    heard = talk(big, close=False)
    assert {"content-length", "transfer-encoding"}.isdisjoint(heard.headers)
    assert (heard.status, heard.body, heard.end) == (200, content[:kept], "fin")
    assert len(requests.get(big, timeout=5).content) == kept


@pytest.mark.fault(61)
def test_a_slow_segment(world: World, big: str, content: bytes, talk: Talk) -> None:
    """The fourth eighth takes its time, in whatever range it is asked for; the others do not."""
    world.add("gateway1", faults.SlowSegment(bytes_per_s=10_000))
    for asked, least, most in (("0-", 0.5, 3), ("0-14999", 0, 0.3), ("20000-", 0, 0.3), ("17500-", 0.25, 3)):
        started = time.monotonic()
        body = talk(big, f"Range: bytes={asked}").body
        start, _, last = asked.partition("-")
        assert body == content[int(start) : int(last or SIZE) + 1]
        assert least <= time.monotonic() - started < most


@pytest.mark.fault(65)
def test_a_ring_of_hosts(world: World, big: str, talk: Talk) -> None:
    """Each hop leads to another host, and every other one back to the first."""
    world.add("gateway1", faults.RedirectRing())
    there = talk(f"{big}?a=b").headers["location"]
    assert there == f"{big}?a=b".replace("127.0.0.1", "localhost")
    with pytest.raises(requests.TooManyRedirects):
        requests.get(there, timeout=5)
    hosts = [entry.headers["host"].partition(":")[0] for entry in world.journal]
    assert hosts == ["127.0.0.1", *["localhost", "127.0.0.1"] * 15, "localhost"]


@pytest.mark.fault(68)
@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]"])
def test_a_redirect_inside(world: World, big: str, talk: Talk, inside: str) -> None:
    world.add("gateway1", faults.Redirect(f"http://{inside}/latest/meta-data/"))
    heard = talk(big)
    assert (heard.status, heard.headers["location"]) == (302, f"http://{inside}/latest/meta-data/")


@pytest.mark.fault(38)
def test_disposition(world: World, big: str, content: bytes, talk: Talk) -> None:
    world.add("gateway1", faults.Disposition())
    heard = talk(big)
    said = "attachment; filename=\"../../etc/x\"; filename*=UTF-8''..%2F..%2Fetc%2Fx"
    assert (heard.body, heard.headers["content-disposition"]) == (content, said)


ENDS = [("crlf", b"\r\n"), ("cr", b"\r"), ("nul", b"\0"), ("encoded", b"%0D%0A")]


@pytest.mark.fault(39)
class TestBadHeader:
    @pytest.mark.parametrize(("kind", "end"), ENDS)
    def test_location(
        self, world: World, big: str, talk: Talk, kind: Literal["crlf", "cr", "nul", "encoded"], end: bytes
    ) -> None:
        world.add("gateway1", faults.BadHeader("location", kind))
        heard = talk(big)
        assert heard.status == 302
        assert b"onnx/big%20one.bin?" + end + b"X-Injected: yes\r\n" in heard.data

    @pytest.mark.parametrize(("kind", "end"), ENDS)
    def test_etag(
        self,
        world: World,
        big: str,
        content: bytes,
        talk: Talk,
        kind: Literal["crlf", "cr", "nul", "encoded"],
        end: bytes,
    ) -> None:
        """The right bytes under a tag that ends its own line, or would end that of an If-Range."""
        tag = talk(big).headers["etag"].encode()
        world.add("gateway1", faults.BadHeader("etag", kind))
        heard = talk(big)
        assert b"ETag: " + tag.rstrip(b'"') + end + b'X-Injected: yes"' in heard.head
        assert (heard.status, heard.body) == (200, content)


@pytest.mark.fault(40)
def test_wrong_digests(world: World, big: str, content: bytes, talk: Talk) -> None:
    """On the file at a gateway, and on the Hub's redirect to one; on no error."""
    world.add("*", faults.WrongDigest())
    wrong = base64.b64encode(bytes(32)).decode()
    heard = talk(big)
    assert heard.body == content
    assert (heard.headers["digest"], heard.headers["repr-digest"]) == (
        f"sha-256={wrong}",
        f"sha-256=:{wrong}:",
    )
    hub = talk(f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin")
    assert (hub.status, hub.headers["x-linked-etag"]) == (302, '"' + "0" * 64 + '"')
    assert "digest" not in talk(f"{big}x").headers


@pytest.mark.fault(54, 110)
def test_wrong_everywhere_the_same(world: World, big: str, content: bytes, talk: Talk) -> None:
    """Aimed at every server, the same byte is wrong at each: one that agrees with another proves nothing."""
    world.add("*", faults.Corrupt(offset=0))
    hub = requests.get(f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin", timeout=5).content
    bodies = {talk(big.replace(world.gateways[0], gateway)).body for gateway in world.gateways}
    assert bodies == {bytes([content[0] ^ 1]) + content[1:]} == {hub}


@pytest.mark.fault(108)
def test_slow_everywhere(world: World, big: str, talk: Talk) -> None:
    """Every server begins at once and never gets anywhere."""
    world.add("*", faults.Dribble(bytes_per_s=20))
    for gateway in world.gateways:
        heard = talk(big.replace(world.gateways[0], gateway), timeout=0.03)
        assert (heard.status, heard.end, len(heard.body)) == (200, "silent", 2)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"name": "swapped-blocks", "block": 0}, "1 byte or more"),
        ({"name": "hole", "length": -1}, "length is 0 or more"),
        ({"name": "car-huge-block", "size": -1}, "size is 0 or more"),
        ({"name": "slow-segment", "number": 9}, "number is 1 to of"),
        ({"name": "slow-segment", "bytes_per_s": 0}, "more than 0"),
        ({"name": "redirect-ring", "hosts": " "}, "hosts are names"),
    ],
)
def test_what_cannot_be_is_said(document: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        faults.fault_from_dict(document)
