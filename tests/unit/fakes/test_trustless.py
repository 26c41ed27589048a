"""What is asked of a gateway by who proves blocks: the probe, and how formats are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.media import disposition

if TYPE_CHECKING:
    from fakes.world import World
    from tests.unit.fakes.conftest import Heard, Talk

PROBE = "/ipfs/bafkqaaa"
RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"


def dechunked(heard: Heard) -> bytes:
    body, whole = heard.body, b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_probe_as_a_raw_block(world: World, talk: Talk, method: str) -> None:
    heard = talk(f"{world.gateways[0]}{PROBE}?format=raw", method=method)
    assert (heard.status, heard.body, heard.headers["content-length"]) == (200, b"", "0")
    assert heard.headers["content-type"] == RAW
    assert heard.headers["etag"] == '"bafkqaaa.raw"'
    assert heard.headers["content-disposition"] == disposition("attachment", "bafkqaaa.bin")
    assert heard.headers["x-content-type-options"] == "nosniff"
    assert heard.headers["accept-ranges"] == "bytes"
    assert "immutable" in heard.headers["cache-control"]
    assert "content-location" not in heard.headers


def test_the_probe_as_a_car(world: World, talk: Talk) -> None:
    """Header (CARv1, one root, the identity CID) and no block: read by hand, by the formats' specifications."""
    heard = talk(f"{world.gateways[0]}{PROBE}?format=car")
    data = dechunked(heard)
    assert (heard.status, data[0]) == (200, len(data) - 1)
    assert data[1:8] == b"\xa2\x65roots"  # a map of two, a text of five
    assert data[8:11] == b"\x81\xd8\x2a"  # a list of one, tag 42
    assert data[11:17] == b"\x45\x00\x01\x55\x00\x00"  # five bytes: 0, CIDv1, raw, identity, of no length
    assert data[17:] == b"\x67version\x01"
    assert heard.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert heard.headers["accept-ranges"] == "none"
    assert heard.headers["content-disposition"] == disposition("attachment", "bafkqaaa.car")
    assert heard.headers["etag"].startswith('W/"bafkqaaa.car.')
    assert "content-length" not in heard.headers
    assert (
        talk(f"{world.gateways[0]}{PROBE}?format=car", f"If-None-Match: {heard.headers['etag']}").status
        == 304
    )
    other = talk(f"{world.gateways[0]}{PROBE}?format=car&dag-scope=block")
    assert other.headers["etag"] != heard.headers["etag"]


def test_the_probe_as_a_file(world: World, talk: Talk) -> None:
    heard = talk(f"{world.gateways[0]}{PROBE}")
    assert (heard.status, heard.body, heard.headers["etag"]) == (200, b"", '"bafkqaaa"')


def test_a_format_by_accept(world: World, talk: Talk) -> None:
    url = world.gateways[0] + PROBE
    raw = talk(url, f"Accept: {RAW}")
    assert (raw.headers["content-type"], raw.headers["content-location"]) == (RAW, f"{PROBE}?format=raw")
    car = talk(url, f"Accept: {CAR}; version=1; order=dfs; dups=y")
    assert car.headers["content-type"].startswith(CAR)
    assert talk(url, f"Accept: {CAR}; version=2").status == 400
    told = talk(f"{url}?car-dups=n", f"Accept: {CAR}; version=1; order=dfs; dups=y")
    assert told.headers["content-location"] == f"{PROBE}?car-dups=n&format=car&car-version=1&car-order=dfs"
    assert told.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert talk(url, "Accept: */*").headers["content-type"] == "application/octet-stream"


def test_the_url_beats_accept(world: World, talk: Talk) -> None:
    heard = talk(f"{world.gateways[0]}{PROBE}?format=raw", f"Accept: {CAR}")
    assert heard.headers["content-type"] == RAW
    assert "content-location" not in heard.headers


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("format=car&dag-scope=entity&entity-bytes=0:*", 200),
        ("format=car&entity-bytes=-5:-1&car-order=unk&car-dups=y&car-version=1", 200),
        ("format=car&dag-scope=some", 400),
        ("format=car&entity-bytes=1-2", 400),
        ("format=car&car-version=2", 400),
        ("format=car&car-order=bfs", 400),
        ("format=car&car-dups=maybe", 400),
        ("format=nope", 400),
        ("format=tar", 406),
    ],
)
def test_parameters(world: World, talk: Talk, query: str, status: int) -> None:
    assert talk(f"{world.gateways[0]}{PROBE}?{query}").status == status
