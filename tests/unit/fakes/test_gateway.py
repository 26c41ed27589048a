from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from fakes.answer import Request
from fakes.gateway import Gateway

if TYPE_CHECKING:
    from fakes.answer import Answer
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk


def test_a_file_with_every_header_a_gateway_gives(world: World, big: str, content: bytes) -> None:
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    response = requests.get(big, timeout=5)
    assert (response.status_code, response.content) == (200, content)
    headers = response.headers
    assert headers["Cache-Control"] == "public, max-age=29030400, immutable"
    assert headers["X-Ipfs-Path"] == f"/ipfs/{cid}/onnx/big%20one.bin"
    roots = headers["X-Ipfs-Roots"].split(",")
    assert (roots[0], len(roots)) == (cid, 3)
    assert headers["Etag"] == f'"{roots[-1]}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(content))
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Range" in headers["Access-Control-Expose-Headers"]
    assert headers["Content-Type"] == "application/octet-stream"
    assert "Date" in headers


def test_head_says_what_get_would(world: World, big: str, talk: Talk) -> None:
    get, head = talk(big), talk(big, method="HEAD")
    assert head.body == b""
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert [entry.bytes_sent for entry in world.journal] == [len(get.body), 0]


def test_options_and_other_methods(big: str, talk: Talk) -> None:
    options = talk(big, method="OPTIONS")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    refused = talk(big, method="POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_empty_and_small_files(world: World) -> None:
    model = world.catalogue.models["tiny"]
    root = f"{world.gateways[3]}/ipfs/{model.cid}"
    assert requests.get(f"{root}/empty.txt", timeout=5).content == b""
    small = requests.get(f"{root}/config.json", timeout=5)
    assert small.content == bytes(model.files["config.json"].view())
    assert small.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=39000-", 39_000, 40_000),
        ("bytes=-5", 39_995, 40_000),
    ],
)
def test_ranges(big: str, content: bytes, header: str, start: int, stop: int) -> None:
    response = requests.get(big, headers={"Range": header}, timeout=5)
    assert (response.status_code, response.content) == (206, content[start:stop])
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/40000"


def test_ranges_out_of_bounds_or_of_sense(big: str) -> None:
    outside = requests.get(big, headers={"Range": "bytes=40000-"}, timeout=5)
    assert (outside.status_code, outside.headers["Content-Range"]) == (416, "bytes */40000")
    assert requests.get(big, headers={"Range": "bytes=9-1"}, timeout=5).status_code == 400


def test_conditions(big: str, content: bytes, talk: Talk) -> None:
    etag = talk(big).headers["etag"]
    assert talk(big, f"If-None-Match: W/{etag}").status == 304
    assert talk(big, "Range: bytes=5-", f"If-Range: {etag}").body == content[5:]
    assert talk(big, "Range: bytes=5-", 'If-Range: "other"').body == content


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (
            "/ipfs/{cid}/nope.bin",
            404,
            'failed to resolve /ipfs/{cid}/nope.bin: no link named "nope.bin" under {cid}',
        ),
        ("/ipfs/{cid}/config.json/deeper", 404, 'no link named "deeper"'),
        ("/ipfs/bafybeiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/x", 404, "failed to resolve"),
        ("/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG/x", 404, "failed to resolve"),
        ("/ipfs/not-a-cid/x", 400, "invalid cid"),
        ("/ipfs/", 400, "invalid cid"),
        ("/ipfs/{cid}", 501, "directories"),
        ("/ipfs/{cid}/", 501, "directories"),
        ("/ipfs/{cid}/onnx/", 501, "directories"),
        ("/ipns/example.org/x", 404, "not found"),
        ("/", 404, "not found"),
    ],
)
def test_what_is_not_there(world: World, path: str, status: int, says: str) -> None:
    """Straight at the site, so that no client tidies the path."""
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    gateway = Gateway(world.catalogue)
    answer = gateway(request_for(path.format(cid=cid)))
    assert answer.status == status
    assert says.format(cid=cid) in text(answer)


def request_for(path: str) -> Request:
    return Request("gateway1", "GET", path, raw_path=path)


def text(answer: Answer) -> str:
    return b"".join(bytes(step) for step in answer.body if isinstance(step, bytes | memoryview)).decode()
