"""Which blocks a CAR has, and in which order: the gateway conformance tests' expectations, over DAGs made here.

Blocks go by name (`dags.Dags`): a file of three KiB called "three" is the node "three" over "three/0" to "three/2".
"""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from fallback.ipfs import car, reading
from fallback.ipfs.building import Built
from fallback.ipfs.cid import IDENTITY, RAW, Cid
from tests.unit.fakes.dags import KB, KB_V0, NARROW, SHARDED, Dags, content, get

if TYPE_CHECKING:
    from fallback.ipfs.unixfs import Profile
    from tests.unit.fakes.conftest import Talk

THREE = 3 * 1024


@pytest.fixture(name="dags")
def _dags() -> Dags:
    return Dags()


@pytest.fixture(name="tree")
def _tree(dags: Dags) -> str:
    """root: one (a block), link (a symbolic link), sub: three (three blocks), one more."""
    one, three = dags.file("one", b"hello\n"), dags.file("three", content(THREE))
    sub = dags.folder("sub", {"one.txt": one, "three.bin": three})
    root = dags.folder("root", {"link": dags.symlink("link", b"foo"), "one.txt": one, "sub": sub})
    return f"/ipfs/{root.cid}"


@pytest.mark.parametrize(
    ("path", "query", "blocks"),
    [
        # The blocks on the way come first, whatever the scope; `all` is the default.
        ("/sub/one.txt", "", "root sub one"),
        ("/sub/three.bin", "", "root sub three three/0 three/1 three/2"),
        ("/sub/three.bin", "dag-scope=all", "root sub three three/0 three/1 three/2"),
        ("/sub/one.txt", "dag-scope=block", "root sub one"),
        ("/sub/three.bin", "dag-scope=block", "root sub three"),
        ("/sub", "dag-scope=block", "root sub"),
        ("", "dag-scope=block", "root"),
        ("/sub/one.txt", "dag-scope=entity", "root sub one"),
        ("/sub/three.bin", "dag-scope=entity", "root sub three three/0 three/1 three/2"),
        # A folder is its enumeration, not its files.
        ("/sub", "dag-scope=entity", "root sub"),
        ("/sub/", "dag-scope=entity", "root sub"),
        ("", "dag-scope=entity", "root"),
        ("/link", "dag-scope=entity", "root link"),
        ("/sub", "dag-scope=all", "root sub one three three/0 three/1 three/2"),
        ("", "dag-scope=all", "root link one sub three three/0 three/1 three/2"),
        ("", "dag-scope=all&car-dups=y", "root link one sub one three three/0 three/1 three/2"),
        # Bytes of a folder are no bytes.
        ("/sub", "entity-bytes=0:10", "root sub"),
        ("/sub", "entity-bytes=9999:*", "root sub"),
    ],
)
def test_the_blocks_of_a_path(dags: Dags, tree: str, path: str, query: str, blocks: str) -> None:
    assert dags.asked(tree + path, query) == blocks.split()


@pytest.mark.parametrize("path", ["/nope", "/sub/nope", "/one.txt/nope"])
def test_a_path_that_leads_nowhere(dags: Dags, tree: str, path: str) -> None:
    assert get(dags.gateway(), tree + path, "format=car").status == 404


@pytest.mark.parametrize(
    ("span", "blocks"),
    [
        ("0:*", "three three/0 three/1 three/2"),
        ("512:*", "three three/0 three/1 three/2"),
        ("512:1023", "three three/0"),
        ("512:1024", "three three/0 three/1"),
        ("512:-256", "three three/0 three/1 three/2"),
        ("1024:-1025", "three three/1"),
        ("-5:*", "three three/2"),
        ("-1025:-1024", "three three/1 three/2"),
        ("-9999:*", "three three/0 three/1 three/2"),
        ("-9999:-3", "three three/0 three/1 three/2"),
        ("0:0", "three three/0"),
        ("3071:9999", "three three/2"),
        ("-1:-1", "three three/2"),
    ],
)
@pytest.mark.parametrize("scope", ["", "&dag-scope=entity"])
@pytest.mark.parametrize("profile", [KB, dataclasses.replace(KB_V0, cid_version=1)], ids=["raw", "dag-pb"])
def test_the_blocks_of_a_part_of_a_file(
    dags: Dags, span: str, blocks: str, scope: str, profile: Profile
) -> None:
    """Both ends are in it; the scope is an entity's, said or not; leaves raw or not."""
    three = dags.file("three", content(THREE), profile)
    assert dags.asked(f"/ipfs/{three.cid}", f"entity-bytes={span}{scope}") == blocks.split()


@pytest.mark.parametrize("profile", [KB, KB_V0], ids=["raw", "dag-pb"])
@pytest.mark.parametrize(("span", "blocks"), [("0:1000", "three three/0"), ("2200:*", "three three/2")])
def test_a_block_that_is_not_needed_may_be_missing(
    dags: Dags, span: str, blocks: str, profile: Profile
) -> None:
    three = dags.file("three", content(THREE), profile)
    assert dags.asked(f"/ipfs/{three.cid}", f"entity-bytes={span}", {"three/1"}) == blocks.split()


def test_no_inner_node_that_is_not_needed(dags: Dags) -> None:
    """Seven leaves under three levels of nodes with two links each: one of each level leads to a byte."""
    deep = dags.file("deep", content(7 * 1024), NARROW)
    whole = dags.asked(f"/ipfs/{deep.cid}")
    assert len(whole) == 7 + 4 + 2 + 1
    part = dags.asked(f"/ipfs/{deep.cid}", "entity-bytes=4096:4096")
    assert len(part) == 4
    assert part[0] == "deep"
    [leaf] = [cid for cid, name in dags.names.items() if name == part[-1]]
    assert dags.blocks[leaf] == content(5 * 1024)[4096:]


@pytest.mark.parametrize(
    "span", ["3072:*", "5000:6000", "-9999:-4000", "5:2", "-1:-5", "1-2", "a:b", "", "*:5", "5"]
)
def test_bytes_that_no_file_has(dags: Dags, span: str) -> None:
    three = dags.file("three", content(THREE))
    assert get(dags.gateway(), f"/ipfs/{three.cid}", f"format=car&entity-bytes={span}").status == 400


class TestDuplicates:
    @pytest.fixture(name="path")
    def _path(self, dags: Dags) -> str:
        """Two names for one file, and a file whose KiBs are all alike."""
        same, zeros = dags.file("same", b"same"), dags.file("zeros", bytes(THREE))
        folder = dags.folder("folder", {"a": same, "b": same, "c": dags.file("other", b"other"), "z": zeros})
        return f"/ipfs/{folder.cid}"

    def test_every_place_of_a_block(self, dags: Dags, path: str) -> None:
        blocks = "folder same same other zeros zeros/0 zeros/0 zeros/0"
        assert dags.asked(path, "car-order=dfs&car-dups=y") == blocks.split()

    @pytest.mark.parametrize("query", ["", "car-dups=n", "car-order=dfs&car-dups=n", "car-order=unk"])
    def test_its_first_place_alone(self, dags: Dags, path: str, query: str) -> None:
        assert dags.asked(path, query) == ["folder", "same", "other", "zeros", "zeros/0"]

    @pytest.mark.parametrize(
        ("accept", "query", "dups"),
        [
            ("; version=1; order=dfs; dups=y", "", "y"),
            ("; version=1; order=dfs; dups=n", "", "n"),
            ("; order=unk", "", "n"),
            ("; dups=y", "car-dups=n", "n"),
            ("; dups=n", "car-dups=y", "y"),
            (";version=1;dups=y", "format=car", "y"),
        ],
    )
    def test_by_accept_unless_the_url_says_otherwise(
        self, dags: Dags, path: str, accept: str, query: str, dups: str
    ) -> None:
        answer = get(dags.gateway(), path, query, accept=f"application/vnd.ipld.car{accept}")
        assert answer.header("content-type") == f"application/vnd.ipld.car; version=1; order=dfs; dups={dups}"
        assert answer.parts is not None
        data = b"".join(step for step in answer.parts if isinstance(step, bytes))
        assert len(dags.in_car(data)) == (8 if dups == "y" else 5)


class TestSharded:
    @pytest.fixture(name="path")
    def _path(self, dags: Dags) -> str:
        """2000 names in shards of two levels, a few of three."""
        files = {f"file {number}": dags.file(f"f{number}", b"%d" % number) for number in range(2000)}
        folder = dags.folder("hamt", files, SHARDED)
        return f"/ipfs/{dags.folder('root', {'in': folder}).cid}/in"

    def test_an_enumeration_is_all_shards_and_no_file(self, dags: Dags, path: str) -> None:
        blocks = dags.asked(path, "dag-scope=entity")
        assert blocks[:2] == ["root", "hamt"]
        assert len(blocks) > 250
        assert sorted(blocks[1:]) == sorted(name for name in dags.names.values() if name.startswith("hamt"))

    def test_everything_is_everything_once(self, dags: Dags, path: str) -> None:
        assert sorted(dags.asked(path)) == sorted(dags.names.values())

    @pytest.mark.parametrize("scope", ["block", "entity", "all"])
    @pytest.mark.parametrize("number", [0, 7, 1999])
    def test_a_path_through_it_is_the_shards_on_the_way(
        self, dags: Dags, path: str, number: int, scope: str
    ) -> None:
        """A reader who has nothing else finds the file, and needs every block."""
        data = car_of(dags, f"{path}/file%20{number}", f"dag-scope={scope}")
        root, needed, blocks = Cid.parse(path.split("/")[2]), [], car.BlocksOf(io.BytesIO(data))

        def noted(cid: Cid) -> bytes:
            needed.append(dags.names[cid])
            return blocks(cid)

        found = reading.resolve(root, f"in/file {number}", noted)
        assert b"".join(reading.file(found, noted)) == b"%d" % number
        assert needed == dags.in_car(data)

    def test_what_is_missing_in_it(self, dags: Dags, path: str) -> None:
        assert get(dags.gateway(), f"{path}/file%202000", "format=car").status == 404


def car_of(dags: Dags, path: str, query: str) -> bytes:
    answer = get(dags.gateway(), path, f"format=car&{query}")
    assert answer.parts is not None
    return b"".join(step for step in answer.parts if isinstance(step, bytes))


class TestIdentity:
    @pytest.mark.parametrize("text", [b"", b"hello", b"x" * 128])
    def test_it_is_its_own_block(self, dags: Dags, text: bytes) -> None:
        """Nothing is in the CAR, and the file is there all the same."""
        path = f"/ipfs/{Cid(1, RAW, IDENTITY, text)}"
        for query in ("", "dag-scope=block", "dag-scope=entity", "car-dups=y", "entity-bytes=0:*"):
            assert dags.asked(path, query) == []
        assert list(get(dags.gateway(), path).body) == ([text] if text else [])
        assert list(get(dags.gateway(), path, "format=raw").body) == ([text] if text else [])

    def test_it_is_skipped_among_others(self, dags: Dags) -> None:
        here = Built(Cid(1, RAW, IDENTITY, b"hello"), 5, 5)
        folder = dags.folder("folder", {"a": here, "b": dags.file("b", b"b")})
        assert dags.asked(f"/ipfs/{folder.cid}") == ["folder", "b"]
        assert dags.asked(f"/ipfs/{folder.cid}/a") == ["folder"]


class TestMissing:
    """A block that is not there when its turn comes: 200 was said by then."""

    @pytest.mark.parametrize(
        ("without", "blocks"), [("three/1", "root sub one three three/0"), ("three", "root sub one")]
    )
    def test_the_car_ends_there_and_a_trailer_says_so(
        self, dags: Dags, tree: str, talk: Talk, without: str, blocks: str
    ) -> None:
        with World({"any": {"files": {"a": {"size": 1}}}}, gateways=1) as world:
            for cid, block in dags.blocks.items():
                if dags.names[cid] != without:
                    world.blocks.put(cid, block)
            heard = talk(f"{world.gateways[0]}{tree}/sub?format=car")
        assert (heard.status, heard.headers["trailer"]) == (200, "X-Stream-Error")
        whole, trailer = dechunked(heard.body)
        assert dags.in_car(whole) == blocks.split()
        [missing] = [cid for cid, name in dags.names.items() if name == without]
        assert trailer == f"X-Stream-Error: {missing}: it is not here"

    @pytest.mark.parametrize("without", ["root", "sub"])
    def test_on_the_way_it_is_a_404(self, dags: Dags, tree: str, without: str) -> None:
        for form in ("car", "raw"):
            assert get(dags.gateway({without}), f"{tree}/sub", f"format={form}").status == 404


def dechunked(body: bytes) -> tuple[bytes, str]:
    """What was in the chunks, and the trailer."""
    whole = b""
    while not body.startswith(b"0\r\n"):
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole, body.removeprefix(b"0\r\n").decode().strip()


class TestHeaders:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("by_accept", [False, True])
    def test_all_of_them(self, dags: Dags, tree: str, method: str, *, by_accept: bool) -> None:
        accept = {"accept": "application/vnd.ipld.car"} if by_accept else {}
        path, query = f"{tree}/sub/three.bin", "dag-scope=entity" + ("" if by_accept else "&format=car")
        answer = get(dags.gateway(), path, query, method, **accept)
        cids = {name: str(cid) for cid, name in dags.names.items()}
        assert answer.header("content-type") == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("accept-ranges") == "none"
        assert answer.header("cache-control") == "public, max-age=29030400, immutable"
        assert answer.header("x-ipfs-path") == path
        assert answer.header("x-ipfs-roots") == f"{cids['root']},{cids['sub']},{cids['three']}"
        assert f'filename="{cids["root"]}_three.bin.car"' in str(answer.header("content-disposition"))
        assert str(answer.header("content-disposition")).startswith("attachment; ")
        assert answer.header("content-length") is None
        located = f"{path}?dag-scope=entity&format=car" if by_accept else None
        assert answer.header("content-location") == located

    def test_a_range_of_a_car_is_no_range(self, dags: Dags, tree: str) -> None:
        answer = get(dags.gateway(), tree, "format=car", range="bytes=5-10")
        assert (answer.status, answer.header("content-range")) == (200, None)

    def test_the_tag_is_of_path_and_parameters(self, dags: Dags, tree: str) -> None:
        asked = [
            ("", ""),
            ("/sub", ""),
            ("", "dag-scope=block"),
            ("", "dag-scope=entity"),
            ("", "car-dups=y"),
            ("", "entity-bytes=0:5"),
            ("", "entity-bytes=0:6"),
        ]
        tags = [
            get(dags.gateway(), tree + path, f"format=car&{query}").header("etag") for path, query in asked
        ]
        assert len(set(tags)) == len(tags)
        assert all(str(tag).startswith(f'W/"{tree.removeprefix("/ipfs/")}.car.') for tag in tags)
        again = get(dags.gateway(), tree, "format=car&car-dups=n&dag-scope=all&car-order=dfs")
        assert again.header("etag") == tags[0]
        same = get(dags.gateway(), tree, "format=car", if_none_match=f'"x", {tags[0]}')
        assert (same.status, same.header("etag")) == (304, tags[0])

    def test_another_name(self, dags: Dags, tree: str) -> None:
        answer = get(dags.gateway(), tree, "format=car&filename=a%20b.car")
        assert 'filename="a b.car"' in str(answer.header("content-disposition"))

    def test_the_root_is_the_path_s_end(self, dags: Dags, tree: str) -> None:
        """As boxo has it; nobody should believe it."""
        [sub] = [cid for cid, name in dags.names.items() if name == "sub"]
        assert car_of(dags, f"{tree}/sub", "").startswith(car.header([sub]))
