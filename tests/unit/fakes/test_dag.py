"""Files, folders and blocks of any DAG that is in the store: the gateway conformance tests' expectations, restated."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import pytest

from fakes.gateway import Gateway
from fakes.steps import Reset
from fakes.world import World
from fallback.ipfs import dagpb
from fallback.ipfs.building import Built
from fallback.ipfs.cid import DAG_PB, Cid
from fallback.ipfs.dagpb import Link, Node
from tests.unit.fakes.dags import KB, KB_V0, NARROW, SHARDED, Dags, body, content, get

if TYPE_CHECKING:
    from fallback.ipfs.unixfs import Profile
    from tests.unit.fakes.conftest import Talk

THREE = 3 * 1024
TRUNCATED = b"Gateway Error: Response truncated"


@pytest.fixture(name="dags")
def _dags() -> Dags:
    return Dags()


PROFILES = pytest.mark.parametrize("profile", [KB, KB_V0, NARROW], ids=["raw leaves", "dag-pb", "deep"])


@PROFILES
@pytest.mark.parametrize("size", [0, 1, 1024, 1025, THREE, 9 * 1024 + 1])
def test_a_file_by_its_own_cid(dags: Dags, profile: Profile, size: int) -> None:
    data = content(size)
    file = dags.file("file", data, profile)
    answer = get(dags.gateway(), f"/ipfs/{file.cid}")
    assert (answer.status, body(answer), answer.length, answer.total) == (200, data, size, size)
    assert answer.header("etag") == f'"{file.cid}"'
    assert answer.header("x-ipfs-roots") == str(file.cid)


@PROFILES
@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("6-16", 6, 17),
        ("-3", THREE - 3, THREE),
        ("997-1000", 997, 1001),
        ("1020-2060", 1020, 2061),
        ("2200-2201", 2200, 2202),
        ("0-", 0, THREE),
        ("0-5, 100-200", 0, 6),
    ],
)
def test_ranges(dags: Dags, profile: Profile, asked: str, start: int, stop: int) -> None:
    file = dags.file("file", content(THREE), profile)
    answer = get(dags.gateway(), f"/ipfs/{file.cid}", range=f"bytes={asked}")
    assert (answer.status, body(answer)) == (206, content(THREE)[start:stop])
    assert answer.header("content-range") == f"bytes {start}-{stop - 1}/{THREE}"


@PROFILES
def test_a_range_without_a_byte_of_the_missing_block(dags: Dags, profile: Profile) -> None:
    file = dags.file("file", content(THREE), profile)
    [middle] = [name for cid, name in dags.names.items() if is_leaf(dags, cid, content(THREE)[1024:2048])]
    for start, stop in ((997, 1001), (2200, 2202)):
        answer = get(dags.gateway({middle}), f"/ipfs/{file.cid}", range=f"bytes={start}-{stop - 1}")
        assert (answer.status, body(answer)) == (206, content(THREE)[start:stop])


def is_leaf(dags: Dags, cid: Cid, data: bytes) -> bool:
    return data in dags.blocks[cid]


def test_a_file_ends_at_its_missing_block(dags: Dags, tiny: dict[str, Any], talk: Talk) -> None:
    """As boxo ends it: a sentence of its own within the promised length, then a reset."""
    file = dags.file("file", content(THREE))
    with World(tiny, gateways=1) as world:
        for cid, block in dags.blocks.items():
            if dags.names[cid] != "file/1":
                world.blocks.put(cid, block)
        heard = talk(f"{world.gateways[0]}/ipfs/{file.cid}")
        assert world.journal[-1].ended == "reset"
    assert (heard.status, heard.headers["content-length"], heard.end) == (200, str(THREE), "rst")
    assert heard.body[:1024] == content(1024)
    assert TRUNCATED in heard.body[1024:]


@pytest.mark.parametrize("without", ["root", "sub", "file"])
def test_what_is_missing_before_the_first_byte(dags: Dags, without: str) -> None:
    sub = dags.folder("sub", {"file": dags.file("file", content(THREE))})
    path = f"/ipfs/{dags.folder('root', {'sub': sub}).cid}/sub/file"
    [missing] = [cid for cid, name in dags.names.items() if name == without]
    refused = get(dags.gateway({without}), path)
    assert (refused.status, f"could not find node {missing}" in body(refused).decode()) == (404, True)
    assert get(dags.gateway({without}), path, **{"cache-control": "only-if-cached"}).status == 412
    assert get(dags.gateway(), path, **{"cache-control": "only-if-cached"}).status == 200


class TestSpellings:
    """One root in every spelling a CID may have; what is said of it is said in one."""

    def test_version_1(self, dags: Dags) -> None:
        root = dags.folder("root", {"a": dags.file("a", b"a")}).cid
        base32 = str(root)
        spelled = [
            base32,
            base32.upper(),
            f"f{root.encode().hex()}",
            f"z{number(root, 58)}",
            f"k{number(root, 36)}",
        ]
        for text in spelled:
            answer = get(dags.gateway(), f"/ipfs/{text}/a")
            assert (answer.status, body(answer)) == (200, b"a")
            assert answer.header("x-ipfs-path") == f"/ipfs/{text}/a"
            assert str(answer.header("x-ipfs-roots")).startswith(f"{root},")

    def test_version_0(self, dags: Dags) -> None:
        """Also where the block was put by version 1, and the other way round: it is one block."""
        root = dags.folder("root", {"a": dags.file("a", b"a", KB_V0)}, KB_V0).cid
        other = dataclasses.replace(root, version=1)
        assert str(root).startswith("Qm")
        for cid in (root, other):
            answer = get(dags.gateway(), f"/ipfs/{cid}/a")
            assert (answer.status, body(answer)) == (200, b"a")
            assert get(dags.gateway(), f"/ipfs/{cid}", "format=raw").header("etag") == f'"{cid}.raw"'

    @pytest.mark.parametrize(
        "text",
        [
            "Qm",
            "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N",
            "bafy 1",
            "bafk0000000",
            "..",
            "bafkqaaa%0A",
            "bafyreih5l6x2ogjdvw4fqkm4bqcq3dvz3ke5mxnegqdtzxiqbfmopfmzty",  # dag-cbor
            "b" + "a" * 500,
        ],
    )
    def test_what_is_none(self, dags: Dags, text: str) -> None:
        assert get(dags.gateway(), f"/ipfs/{text}/a").status == 400


def number(cid: Cid, base: int) -> str:
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    digits = digits if base == 58 else "0123456789abcdefghijklmnopqrstuvwxyz"
    left, text = int.from_bytes(cid.encode(), "big"), ""
    while left:
        left, digit = divmod(left, base)
        text = digits[digit] + text
    return text


class TestFolders:
    def test_names_beyond_ascii(self, dags: Dags) -> None:
        deepest = dags.folder("deepest", {"t 100%.txt": dags.file("t", b"foo")})
        root = dags.folder("root", {"ą": dags.folder("sub", {"ę": deepest})}).cid
        moved = get(dags.gateway(), f"/ipfs/{root}/%C4%85/%C4%99")
        assert (moved.status, moved.header("location")) == (301, f"/ipfs/{root}/%C4%85/%C4%99/")
        assert body(get(dags.gateway(), f"/ipfs/{root}/%C4%85/%C4%99/t%20100%25.txt")) == b"foo"
        page = body(get(dags.gateway(), f"/ipfs/{root}/%C4%85/%C4%99/")).decode()
        assert '<a href="./t%20100%25.txt">t 100%.txt</a>' in page
        assert get(dags.gateway(), f"/ipfs/{root}/%C4%85/nope").status == 404

    def test_a_name_that_is_no_text(self, dags: Dags) -> None:
        root = dags.folder("root", {b"a\xff<".decode("utf-8", "surrogateescape"): dags.file("a", b"a")}).cid
        page = body(get(dags.gateway(), f"/ipfs/{root}/"))
        assert b'<a href="./a%FF%3C">a\xef\xbf\xbd&lt;</a>' in page
        assert body(get(dags.gateway(), f"/ipfs/{root}/a%FF%3C")) == b"a"

    def test_one_that_is_sharded(self, dags: Dags) -> None:
        files = {f"file {index}": dags.file(f"f{index}", b"%d" % index) for index in range(500)}
        sharded = dags.folder("hamt", {**files, "sub": dags.folder("sub", {})}, SHARDED)
        root = f"/ipfs/{dags.folder('root', {'in': sharded}).cid}/in"
        assert get(dags.gateway(), root).header("location") == f"{root}/"
        page = body(get(dags.gateway(), f"{root}/")).decode()
        links = re.findall('href="([^"]+)"', page)
        assert sorted(links) == links
        assert set(links) == {"./sub/", *(f"./file%20{index}" for index in range(500))}
        for index in (0, 7, 499):
            assert body(get(dags.gateway(), f"{root}/file%20{index}")) == b"%d" % index
        assert get(dags.gateway(), f"{root}/file%20500").status == 404

    def test_an_entry_that_is_not_here_is_listed(self, dags: Dags) -> None:
        root = dags.folder("root", {"a": dags.file("a", b"12345"), "b": dags.folder("b", {})}).cid
        page = body(get(dags.gateway({"a", "b"}), f"/ipfs/{root}/")).decode()
        assert re.findall('href="([^"]+)"', page) == ["./a", "./b"]
        assert "<td>5</td>" in page

    def test_a_symbolic_link_is_its_target(self, dags: Dags) -> None:
        root = dags.folder("root", {"link": dags.symlink("link", b"foo")}).cid
        answer = get(dags.gateway(), f"/ipfs/{root}/link")
        assert (body(answer), answer.header("content-type")) == (b"foo", "inode/symlink")

    def test_what_is_no_unixfs_is_the_gateway_s_own_fault(self, dags: Dags) -> None:
        block = dagpb.encode(Node((Link(dags.file("a", b"a").cid, ""),), b"nonsense"))
        blocks = dags.store()
        blocks.put(cid := Cid.of(block, DAG_PB), block)
        assert get(Gateway(blocks), f"/ipfs/{cid}").status == 500


class TestRawBlocks:
    @pytest.fixture(name="path")
    def _path(self, dags: Dags) -> str:
        self.three = dags.file("three", content(THREE))
        return f"/ipfs/{dags.folder('root', {'a': dags.file('a', content(57)), 'b': self.three}).cid}"

    @pytest.mark.parametrize(("below", "name"), [("", "root"), ("/", "root"), ("/a", "a"), ("/b", "three")])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("by_accept", [False, True])
    def test_the_block_at_the_path_s_end(
        self, dags: Dags, path: str, below: str, name: str, method: str, *, by_accept: bool
    ) -> None:
        """Of a folder its node, of a file its root: whatever block it is."""
        accept = {"accept": "application/vnd.ipld.raw"} if by_accept else {}
        answer = get(dags.gateway(), path + below, "" if by_accept else "format=raw", method, **accept)
        [cid] = [cid for cid, known in dags.names.items() if known == name]
        assert (answer.status, body(answer)) == (200, dags.blocks[cid])
        assert answer.header("etag") == f'"{cid}.raw"'
        assert answer.header("content-type") == "application/vnd.ipld.raw"
        assert answer.header("content-length") == str(len(dags.blocks[cid]))
        assert f'filename="{cid}.bin"' in str(answer.header("content-disposition"))
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("accept-ranges") == "bytes"
        assert answer.header("cache-control") == "public, max-age=29030400, immutable"
        assert answer.header("x-ipfs-path") == path + below
        assert answer.header("content-location") == (f"{path}{below}?format=raw" if by_accept else None)

    def test_a_range_and_a_condition(self, dags: Dags, path: str) -> None:
        answer = get(dags.gateway(), f"{path}/a", "format=raw", range="bytes=6-16")
        assert (answer.status, body(answer)) == (206, content(57)[6:17])
        assert answer.header("content-range") == "bytes 6-16/57"
        tag = str(answer.header("etag"))
        assert get(dags.gateway(), f"{path}/a", "format=raw", if_none_match=tag).status == 304
        assert get(dags.gateway(), f"{path}/a", if_none_match=tag).status == 200
        assert get(dags.gateway(), f"{path}/a", "format=raw", range="bytes=57-").status == 416

    def test_each_leaf_by_its_cid(self, dags: Dags, path: str) -> None:
        for cid, block in dags.blocks.items():
            assert body(get(dags.gateway(), f"/ipfs/{cid}", "format=raw")) == block
        assert get(dags.gateway(), f"{path}/nope", "format=raw").status == 404
        assert get(dags.gateway({"three/1"}), f"{path}/b", "format=raw").status == 200


def test_a_gateway_that_gives_no_large_file_gives_its_blocks(
    dags: Dags, tiny: dict[str, Any], talk: Talk
) -> None:
    file = dags.file("file", content(THREE))
    with World(tiny, gateways=2, gateway_caps={"gateway1": THREE - 1, "gateway2": THREE}) as world:
        for cid, block in dags.blocks.items():
            world.blocks.put(cid, block)
        url = f"{world.gateways[0]}/ipfs/{file.cid}"
        refused = talk(url)
        assert (refused.status, refused.headers["cache-control"]) == (410, "public, max-age=604800")
        assert [talk(f"{url}?format={form}").status for form in ("raw", "car")] == [200, 200]
        assert talk(url.replace(world.gateways[0], world.gateways[1])).status == 200
        with pytest.raises(ValueError, match="no gateway is called gateway3"):
            World(tiny, gateways=2, gateway_caps={"gateway3": 1})


def test_what_is_put_into_one_world_is_in_no_other(tiny: dict[str, Any]) -> None:
    """All gateways of a world have one store, which begins as the catalogue's."""
    world = World(tiny)
    other = World(world.catalogue)
    world.blocks.put(cid := Cid.of(b"new", DAG_PB), b"new")
    assert cid in world.blocks
    assert cid not in other.blocks


def test_an_identity_folder(dags: Dags) -> None:
    """A folder small enough to be its own name, with an entry that is a block like any other."""
    file = dags.file("file", b"f")
    block = dagpb.encode(Node((Link(file.cid, "f", 1),), b"\x08\x01"))
    root = Built(Cid(1, DAG_PB, 0, block), len(block))
    assert body(get(dags.gateway(), f"/ipfs/{root.cid}/f")) == b"f"
    assert dags.asked(f"/ipfs/{root.cid}") == ["file"]


def test_a_reset_comes_behind_the_sentence(dags: Dags) -> None:
    file = dags.file("file", content(THREE))
    assert list(get(dags.gateway({"file/2"}), f"/ipfs/{file.cid}").body)[-1] == Reset()
