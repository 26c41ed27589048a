"""Pinata and Kubo: what is sent is served by the gateways, by the CIDs that others compute; and how they fail."""

from __future__ import annotations

import io
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from fakes.faults import KuboError, OtherCid, PartialPin, PinataError, UploadCut
from fakes.pinata import JWT, KEY, SECRET
from fakes.world import World
from fallback.ipfs import building, car
from fallback.ipfs.cid import RAW, Cid
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015, V1_2025
from tests.flow.told import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.ipfs.building import Built
    from fallback.ipfs.unixfs import Profile

FILES = {"a.json": b"{}", "onnx/big.bin": bytes(range(256)) * 8_000, "onnx/empty": b""}
BEARER = {"Authorization": f"Bearer {JWT}"}


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    with World({"m": {"files": {"f": {"size": 1}}}}) as world:
        yield world


@pytest.fixture(name="world_", autouse=True)
def _clear(world: World) -> Iterator[None]:
    world.journal.clear()
    yield
    world.clear()


def built(profile: Profile, blocks: dict[Cid, bytes] | None = None) -> Built:
    sink = building.nowhere if blocks is None else blocks.__setitem__
    files = {path: building.file(io.BytesIO(data), profile, sink) for path, data in FILES.items()}
    onnx = building.directory({"big.bin": files["onnx/big.bin"], "empty": files["onnx/empty"]}, profile, sink)
    return building.directory({"a.json": files["a.json"], "onnx": onnx}, profile, sink)


def as_car() -> tuple[str, bytes]:
    blocks: dict[Cid, bytes] = {}
    root = built(V1_2025, blocks).cid
    rest = b"".join(car.section(cid, block) for cid, block in blocks.items() if cid != root)
    return str(root), car.header([root]) + car.section(root, blocks[root]) + rest


def folder(world: World, headers: dict[str, str] = BEARER, **fields: str) -> requests.Response:
    parts = [("file", (f"model/{path}", data)) for path, data in FILES.items()]
    url = f"{world.pinata}/pinning/pinFileToIPFS"
    return requests.post(url, files=parts, data=fields, headers=headers, timeout=10)


def imported(world: World, data: bytes, query: str = "pin-roots=true&stats=true") -> requests.Response:
    url = f"{world.kubo}/api/v0/dag/import?{query}"
    return requests.post(url, files={"file": ("model.car", data)}, timeout=10)


def lines(response: requests.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.text.splitlines()]


def served(world: World, cid: str) -> None:
    for path, data in FILES.items():
        assert requests.get(f"{world.gateways[0]}/ipfs/{cid}/{path}", timeout=10).content == data


@pytest.mark.parametrize(("version", "profile"), [(1, KUBO_CID_V1), (0, V0_2015)])
def test_a_folder_is_pinned_and_served(world: World, version: int, profile: Profile) -> None:
    answer = folder(world, pinataOptions=json.dumps({"cidVersion": version}))
    assert answer.status_code == 200
    said = answer.json()
    assert said["IpfsHash"] == str(built(profile).cid)
    assert said["PinSize"] == built(profile).tsize
    served(world, said["IpfsHash"])
    assert folder(world, pinataOptions=json.dumps({"cidVersion": version})).json()["isDuplicate"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (BEARER, 200),
        ({"pinata_api_key": KEY, "pinata_secret_api_key": SECRET}, 200),
        ({"pinata_api_key": KEY, "pinata_secret_api_key": "x"}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({}, 401),
    ],
)
def test_keys(world: World, headers: dict[str, str], status: int) -> None:
    for answer in (
        requests.get(f"{world.pinata}/data/testAuthentication", headers=headers, timeout=10),
        folder(world, headers),
    ):
        assert answer.status_code == status
        if status == 401:
            assert answer.json()["error"]["reason"] == "INVALID_CREDENTIALS"


@pytest.mark.parametrize(
    "fields", [{"pinataOptions": "{"}, {"pinataOptions": "[]"}, {"pinataOptions": '{"cidVersion": 2}'}]
)
def test_a_bad_form_is_a_400(world: World, fields: dict[str, str]) -> None:
    assert folder(world, BEARER, **fields).status_code == 400


def test_two_folders_are_not_one(world: World) -> None:
    parts = [("file", ("a/x", b"x")), ("file", ("b/y", b"y"))]
    url = f"{world.pinata}/pinning/pinFileToIPFS"
    answer = requests.post(url, files=parts, headers=BEARER, timeout=10)
    assert "one folder" in answer.json()["error"]["details"]


def test_v3_keeps_what_is_not_said_to_be_public(world: World) -> None:
    root, data = as_car()
    url = f"{world.pinata}/v3/files"

    def upload(**fields: str) -> dict[str, Any]:
        answer = requests.post(
            url, files={"file": ("m.car", data)}, data={"car": "true", **fields}, headers=BEARER, timeout=10
        )
        made: dict[str, Any] = answer.json()["data"]
        return made

    onnx = f"{world.gateways[0]}/ipfs/{root}/onnx/big.bin"
    if requests.get(onnx, timeout=10).status_code == 404:  # unless another test published it
        assert upload()["cid"] == root
        assert requests.get(onnx, timeout=10).status_code == 404
    assert upload(network="public")["cid"] == root
    served(world, root)


def test_v3_says_its_errors_in_its_own_way(world: World) -> None:
    answer = requests.post(f"{world.pinata}/v3/files", files={"file": b"x"}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401)
    answer = requests.post(f"{world.pinata}/v3/files", files={"other": b"x"}, headers=BEARER, timeout=10)
    assert answer.status_code == 400


def test_kubo_imports_a_car(world: World) -> None:
    root, data = as_car()
    root_line, stats = lines(imported(world, data))
    assert root_line == {"Root": {"Cid": {"/": root}, "PinErrorMsg": ""}}
    assert stats["Stats"]["BlockCount"] > 3
    served(world, root)


def test_kubo_refuses_a_car_with_a_wrong_block(world: World) -> None:
    _, data = as_car()
    answer = imported(world, data[:-1] + b"x")
    assert (answer.status_code, answer.json()["Type"]) == (500, "error")
    assert imported(world, b"junk").status_code == 500


def test_kubo_adds_files_by_their_paths(world: World) -> None:
    parts = [("file", (f"model%2F{path.replace('/', '%2F')}", data)) for path, data in FILES.items()]
    url = f"{world.kubo}/api/v0/add?cid-version=1&raw-leaves=true&chunker=size-1048576&max-file-links=1024"
    said = lines(requests.post(url, files=parts, timeout=10))
    assert said[-1] == {"Name": "model", "Hash": str(built(V1_2025).cid), "Size": str(built(V1_2025).tsize)}
    plain = lines(requests.post(f"{world.kubo}/api/v0/add", files={"file": ("a", b"x")}, timeout=10))
    assert plain[-1]["Hash"].startswith("Qm")


def test_kubo_is_asked_by_post_alone(world: World) -> None:
    assert requests.get(f"{world.kubo}/api/v0/version", timeout=10).status_code == 405
    assert requests.post(f"{world.kubo}/api/v0/version", timeout=10).json()["Version"]
    assert requests.post(f"{world.kubo}/api/v0/cat", timeout=10).status_code == 404


def test_errors_of_pinata(world: World) -> None:
    world.add("pinata", PinataError())
    answer = folder(world)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (403, "NO_SCOPES_FOUND")


def test_another_cid_is_told(world: World) -> None:
    right = folder(world, pinataOptions='{"cidVersion": 1}').json()["IpfsHash"]
    root, data = as_car()
    for server in ("pinata", "kubo"):
        world.add(server, OtherCid())
    assert folder(world, pinataOptions='{"cidVersion": 1}').json()["IpfsHash"] != right
    assert lines(imported(world, data))[0]["Root"]["Cid"]["/"] != root


def test_a_refusal_passes_whole_through_another_cid(world: World) -> None:
    """The fault looks at each answer for a CID: one that has none is still to be sent."""
    world.add("pinata", OtherCid())
    assert folder(world, {}).json()["error"]["reason"] == "INVALID_CREDENTIALS"


def test_a_part_of_a_folder_is_pinned(world: World) -> None:
    world.add("pinata", PartialPin(files=1))
    answer = folder(world, pinataOptions='{"cidVersion": 1}').json()
    listing = requests.get(f"{world.gateways[0]}/ipfs/{answer['IpfsHash']}/", timeout=10).text
    assert "a.json" in listing
    assert "onnx" not in listing


def test_kubo_fails_in_many_ways(world: World) -> None:
    _, data = as_car()

    def failing(where: str) -> requests.Response:
        world.clear()
        world.add("kubo", KuboError(where=where))  # type: ignore[arg-type]
        return imported(world, data)

    assert failing("status").status_code == 500
    assert lines(failing("line"))[-1]["Type"] == "error"
    assert lines(failing("pin"))[0]["Root"]["PinErrorMsg"]
    for where in ("trailer", "silence"):
        answer = failing(where)
        assert answer.status_code == 200
        assert "Stats" not in lines(answer)[-1]


def test_a_client_that_leaves_in_its_upload_is_no_error_of_the_fake(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left to reset, and nothing to say on stderr."""
    with World({"m": {"files": {"f": {"size": 1}}}}) as world:
        parts = urlsplit(world.pinata)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as sock:
            sock.sendall(
                b"POST /pinning/pinFileToIPFS HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhalf"
            )
            until(lambda: len(world.journal.entries()) == 1)
        until(lambda: world.journal.entries()[0].ended == "client-closed")
    assert not caplog.records


def test_an_upload_is_cut(world: World) -> None:
    """Nothing is answered, and nothing of it is pinned."""
    world.add("pinata", UploadCut(fraction=0.5))
    before = len(world.blocks)
    with pytest.raises(requests.exceptions.ConnectionError):
        folder(world)
    assert len(world.blocks) == before
    [entry] = world.journal.select(server="pinata")
    assert entry.ended == "reset"


def test_a_car_without_a_block_is_refused(world: World) -> None:
    answer = requests.post(
        f"{world.pinata}/v3/files",
        files={"file": ("m.car", car.header([]))},
        data={"car": "true"},
        headers=BEARER,
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "a CAR without a block")


def test_each_root_that_the_header_names_is_told_of(world: World) -> None:
    """Whatever block comes first; and one that is not here cannot be pinned."""
    here, gone = Cid.of(b"here", RAW), Cid.of(b"gone", RAW)
    data = (
        car.header([gone, here]) + car.section(Cid.of(b"first", RAW), b"first") + car.section(here, b"here")
    )
    first, second, stats = lines(imported(world, data))
    assert first["Root"]["Cid"] == {"/": str(gone)}
    assert "not found" in first["Root"]["PinErrorMsg"]
    assert second["Root"] == {"Cid": {"/": str(here)}, "PinErrorMsg": ""}
    assert stats["Stats"]["BlockCount"] == 2
    assert [list(line) for line in lines(imported(world, data, "pin-roots=false&stats=true"))] == [["Stats"]]


@pytest.mark.parametrize(
    "option",
    ["chunker=size-0", "chunker=size-9999999", "chunker=rabin", "max-file-links=1", "max-file-links=x"],
)
def test_an_option_that_cannot_be_is_a_400(world: World, option: str) -> None:
    """And the world goes on: with one link a node, a file of two chunks would have no end."""
    url = f"{world.kubo}/api/v0/add?cid-version=1&{option}"
    answer = requests.post(url, files={"file": ("x", b"x" * 600_000)}, timeout=10)
    assert (answer.status_code, answer.json()["Type"]) == (400, "error")
    assert not [entry for entry in world.journal if entry.ended != "complete"]
