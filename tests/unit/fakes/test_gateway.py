from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from fakes.answer import Request
from fakes.catalogue import Catalogue
from fakes.gateway import Gateway
from fakes.world import World
from fallback.ipfs.cid import IDENTITY, RAW, Cid

if TYPE_CHECKING:
    from fakes.answer import Answer
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
        ("/ipfs/{cid}/onnx/big%20one.bin/x", 404, 'no link named "x" under {file}'),
        ("/ipfs/{cid}/onnx%2Fbig%20one.bin", 404, 'no link named "onnx/big one.bin" under {cid}'),
        ("/ipfs/{cid}/%FF", 404, 'no link named "?" under {cid}'),
        ("/ipfs/{cid}/config.json/deeper", 404, 'no link named "deeper"'),
        ("/ipfs/bafybeiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/x", 404, "failed to resolve"),
        ("/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG/x", 404, "failed to resolve"),
        ("/ipfs/not-a-cid/x", 400, "invalid cid"),
        ("/ipfs/", 400, "invalid cid"),
        ("/ipfs/{cid}/on", 404, 'no link named "on"'),
        ("/ipfs/{cid}/config.json/", 404, "no link named"),
        ("/ipfs/{cid}/100%", 400, "invalid URL escape"),
        ("/ipfs/{cid}/%zz", 400, "invalid URL escape"),
        ("/ipns/example.org/x", 404, "not found"),
        ("/", 404, "not found"),
    ],
)
def test_what_is_not_there(world: World, path: str, status: int, says: str) -> None:
    """Straight at the site, so that no client tidies the path."""
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    gateway = Gateway(world.blocks)
    answer = gateway(request_for(path.format(cid=cid)))
    assert answer.status == status
    file = world.catalogue.models["tiny"].cids["onnx/big one.bin"]
    assert says.format(cid=cid, file=file) in text(answer)


class TestFolders:
    @pytest.mark.parametrize(
        ("asked", "location"),
        [
            ("/ipfs/{cid}", "/ipfs/{cid}/"),
            ("/ipfs/{cid}/onnx", "/ipfs/{cid}/onnx/"),
            ("/ipfs/{cid}/onnx?download=true", "/ipfs/{cid}/onnx/?download=true"),
            ("/ipfs/{cid}/%6fnnx", "/ipfs/{cid}/onnx/"),
        ],
    )
    def test_without_its_slash_it_is_redirected(
        self, world: World, talk: Talk, asked: str, location: str
    ) -> None:
        cid = world.manifest()["tiny"]["ipfs"]["cid"]
        heard = talk(world.gateways[0] + asked.format(cid=cid))
        assert (heard.status, heard.headers["location"]) == (301, location.format(cid=cid))

    def test_a_name_beyond_ascii_stays_encoded(self) -> None:
        files = {"ą/ę/t.txt": {"size": 3}}
        catalogue = Catalogue({"m": {"files": files}})
        gateway, cid = Gateway(catalogue.blocks), catalogue.models["m"].cid
        moved = gateway(request_for(f"/ipfs/{cid}/%C4%85/%C4%99"))
        assert (moved.status, moved.header("location")) == (301, f"/ipfs/{cid}/%C4%85/%C4%99/")
        assert gateway(request_for(f"/ipfs/{cid}/%C4%85/%C4%99/t.txt")).length == 3
        page = text(gateway(request_for(f"/ipfs/{cid}/")))
        assert '<a href="./%C4%85/">ą/</a>' in page

    def test_the_listing_links_to_what_is_right_in_it(self, world: World, talk: Talk) -> None:
        cid = world.manifest()["tiny"]["ipfs"]["cid"]
        heard = talk(f"{world.gateways[0]}/ipfs/{cid}/")
        assert heard.status == 200
        assert heard.headers["content-type"].startswith("text/html")
        assert re.findall('href="([^"]+)"', heard.body.decode()) == [
            "./config.json",
            "./empty.txt",
            "./onnx/",
        ]
        assert heard.headers["cache-control"] == "public, max-age=604800, stale-while-revalidate=2678400"
        assert re.fullmatch(rf'"DirIndex-[0-9a-f]+_CID-{cid}"', heard.headers["etag"])
        assert heard.headers["x-ipfs-roots"] == cid
        below = talk(f"{world.gateways[0]}/ipfs/{cid}/onnx/")
        assert re.findall('href="([^"]+)"', below.body.decode()) == ["./big%20one.bin"]
        roots = below.headers["x-ipfs-roots"].split(",")
        assert below.headers["etag"].endswith(f'_CID-{roots[1]}"')
        again = talk(f"{world.gateways[0]}/ipfs/{cid}/onnx/", f"If-None-Match: {below.headers['etag']}")
        assert (again.status, again.body) == (304, b"")


def test_only_if_cached_is_200_or_412(world: World, big: str, talk: Talk) -> None:
    """Everything that a fake serves is local to it."""
    for method in ("GET", "HEAD"):
        assert talk(big, "Cache-Control: only-if-cached", method=method).status == 200
        cid = world.manifest()["tiny"]["ipfs"]["cid"]
        unknown = big.replace(cid, str(Cid.of(b"unknown", RAW)))
        assert talk(unknown, "Cache-Control: only-if-cached", method=method).status == 412
        assert talk(unknown, method=method).status == 404


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{etag}", 304),
        ('"a", "b",  {etag}', 304),
        ("W/{etag}", 304),
        ("*", 304),
        ('"a"', 200),
    ],
)
def test_if_none_match(big: str, talk: Talk, header: str, status: int) -> None:
    etag = talk(big).headers["etag"]
    heard = talk(big, f"If-None-Match: {header.format(etag=etag)}")
    assert heard.status == status
    assert heard.headers["etag"] == etag
    assert "immutable" in heard.headers["cache-control"]


def test_a_name_in_the_query_is_for_content_disposition_alone(big: str, content: bytes, talk: Talk) -> None:
    assert "content-disposition" not in talk(big).headers
    heard = talk(f"{big}?filename=a%22%0d%0aX-Evil:%20%C4%85.json")
    assert heard.body == content
    assert heard.headers["content-disposition"].startswith(
        "inline; filename*=UTF-8''a%22%0D%0AX-Evil%3A%20%C4%85"
    )
    assert "x-evil" not in heard.headers
    assert heard.headers["content-type"] == "application/json"
    heard = talk(f"{big}?download=true")
    assert heard.headers["content-disposition"].endswith('filename="big one.bin";')
    assert heard.headers["content-disposition"].startswith("attachment; ")


def test_errors_are_html_for_who_wants_that(world: World, talk: Talk) -> None:
    url = f"{world.gateways[0]}/ipfs/%3Cb%3E"
    plain, page = talk(url), talk(url, "Accept: text/html,*/*")
    assert plain.headers["content-type"].startswith("text/plain")
    assert page.headers["content-type"].startswith("text/html")
    assert (plain.status, page.status) == (400, 400)
    assert b"<b>" not in page.body


def test_a_service_worker_for_a_whole_cid_is_refused(world: World, big: str, talk: Talk) -> None:
    root = big.removesuffix("onnx/big%20one.bin")
    assert talk(root, "Service-Worker: script").status == 400
    assert talk(big, "Service-Worker: script").status == 200


class TestTrustless:
    def test_no_file_is_given_and_the_probe_is(self, tiny: dict[str, Any], talk: Talk) -> None:
        with World(tiny, gateway_modes={"gateway2": "trustless"}) as world:
            path = f"/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/config.json"
            refused = talk(world.gateways[1] + path)
            assert (refused.status, b"only trustless requests" in refused.body) == (406, True)
            assert talk(f"{world.gateways[1]}/ipfs/bafkqaaa").status == 406
            assert talk(f"{world.gateways[1]}/ipfs/bafkqaaa?format=raw").status == 200
            assert talk(world.gateways[0] + path).status == 200


class TestSubdomain:
    def test_a_path_is_redirected_to_an_origin_of_its_own(self, tiny: dict[str, Any], talk: Talk) -> None:
        with World(tiny, gateways=1, gateway_modes={"gateway1": "subdomain"}) as world:
            cid = world.manifest()["tiny"]["ipfs"]["cid"]
            moved = talk(f"{world.gateways[0]}/ipfs/{cid}/onnx/big%20one.bin?download=true")
            port = urlsplit(world.gateways[0]).port
            assert moved.status == 301
            assert moved.headers["location"] == (
                f"http://{cid}.ipfs.localhost:{port}/onnx/big%20one.bin?download=true"
            )

    def test_the_subdomain_serves_what_is_below_its_cid(self, world: World) -> None:
        model = world.catalogue.models["tiny"]
        gateway = Gateway(world.blocks, "http://127.0.0.1:80", mode="subdomain")
        host = {"host": f"{model.cid}.ipfs.localhost:80"}
        answer = gateway(Request("g", "GET", "/config.json", raw_path="/config.json", headers=host))
        assert (answer.status, answer.length) == (200, model.files["config.json"].size)
        assert answer.header("x-ipfs-path") == f"/ipfs/{model.cid}/config.json"
        moved = gateway(Request("g", "GET", "/onnx", raw_path="/onnx", headers=host))
        assert (moved.status, moved.header("location")) == (301, "/onnx/")
        assert gateway(Request("g", "GET", "/", raw_path="/", headers=host)).status == 200

    def test_a_name_that_is_too_long_for_a_host(self, world: World) -> None:
        gateway = Gateway(world.blocks, mode="subdomain")
        refused = gateway(request_for(f"/ipfs/{Cid(1, RAW, IDENTITY, bytes(60))}/x"))
        assert (refused.status, "DNS label" in text(refused)) == (400, True)


def test_a_mode_of_no_gateway_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no gateway is called gateway5"):
        World(tiny, gateway_modes={"gateway5": "path"})


def request_for(path: str) -> Request:
    return Request("gateway1", "GET", path, raw_path=path)


def text(answer: Answer) -> str:
    return b"".join(bytes(step) for step in answer.body if isinstance(step, bytes | memoryview)).decode()
