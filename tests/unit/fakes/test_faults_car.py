"""Every fault of CARs, byte for byte on a socket, and what a reader that proves blocks makes of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from fakes import faults
from fakes.faults import FAULTS
from fallback.ipfs import car, dagpb, reading, varint
from fallback.ipfs.car import BlocksOf, CarError, MissingBlockError
from fallback.ipfs.cid import DAG_PB, RAW, Cid
from fallback.ipfs.dagpb import Link, Node
from fallback.ipfs.reading import WrongBlockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.faults import Fault
    from fakes.world import World
    from tests.unit.fakes.conftest import Heard, Talk

SIZE = 3 * 2**20 + 5
UNKNOWN = Cid.of(b"in no store", RAW)


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A file of five blocks, in place of the usual world."""
    return {"m": {"files": {"file.bin": {"size": SIZE}, "one.bin": {"size": 100}}}}


class Cars:
    """The CAR of the five blocks of a file, as a gateway with a fault sends it."""

    def __init__(self, world: World, talk: Talk) -> None:
        self._world, self._talk = world, talk
        model = world.catalogue.models["m"]
        self.root = Cid.parse(model.cids["file.bin"])
        self.url = f"{world.gateways[0]}/ipfs/{self.root}"
        self.content = bytes(model.files["file.bin"].view())
        self.right = [Cid.of(node := world.blocks(self.root), DAG_PB)]
        self.right += [link.cid for link in reading.understood(self.root, node).links]

    def heard(self, fault: Fault) -> Heard:
        number = self._world.add("gateway1", fault)
        heard = self._talk(f"{self.url}?format=car")
        self._world.remove(number)
        assert heard.status == 200
        return heard

    def sent(self, fault: Fault) -> bytes:
        """The CAR; the chunks around it are whole."""
        return whole(self.heard(fault).body)

    def read(self, fault: Fault) -> bytes:
        """The file, as who walks the DAG gets it."""
        return b"".join(reading.file(self.root, BlocksOf(io.BytesIO(self.sent(fault)))))


def whole(body: bytes) -> bytes:
    data, rest, last = chunks(body)
    assert (rest, last) == (b"", True)
    return data


def chunks(body: bytes) -> tuple[bytes, bytes, bool]:
    """What was in the chunks, what of the body is none, and whether the last chunk came."""
    data = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if size == b"0":
            return data, rest.removeprefix(b"\r\n"), True
        data += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return data, body, False


def sections(data: bytes) -> Iterator[tuple[Cid, bytes]]:
    """The header's roots are passed over, and no block is proven."""
    size, at = varint.decode(data)
    at += size
    while at < len(data):
        size, at = varint.decode(data, at)
        cid, start = Cid.read(data, at)
        yield cid, data[start : at + size]
        at += size


@pytest.fixture(name="cars")
def _cars(world: World, talk: Talk) -> Cars:
    return Cars(world, talk)


def named(data: bytes) -> list[Cid]:
    return [cid for cid, _ in sections(data)]


def test_without_a_fault(cars: Cars, world: World) -> None:
    world.add("gateway1", faults.Latency(latency=0))
    assert named(cars.sent(faults.CarRoots())) == cars.right


def test_cut_between_two_blocks_it_looks_whole(cars: Cars) -> None:
    data = cars.sent(faults.CarCut(block=2))
    assert named(data) == cars.right[:2]
    assert len(list(car.read(io.BytesIO(data)))) == 2
    with pytest.raises(MissingBlockError, match=str(cars.right[2])):
        cars.read(faults.CarCut(block=2))


def test_cut_inside_a_block(cars: Cars) -> None:
    data = cars.sent(faults.CarCut(block=2, inside=True))
    before = cars.sent(faults.CarCut(block=2))
    assert data.startswith(before)
    assert 2**19 <= len(data) - len(before) < 2**19 + 100
    with pytest.raises(CarError, match="cut inside a block"):
        cars.read(faults.CarCut(block=2, inside=True))


@pytest.mark.parametrize("inside", [True, False])
def test_cut_with_the_connection(cars: Cars, world: World, *, inside: bool) -> None:
    """No last chunk: an HTTP client notices by itself."""
    heard = cars.heard(faults.CarCut(block=2, inside=inside, close=True))
    assert (chunks(heard.body)[2], heard.end) == (False, "fin")
    assert world.journal[-1].ended == "truncated"


def test_a_block_that_is_not_what_its_cid_says(cars: Cars) -> None:
    data = cars.sent(faults.CarWrongBlock(block=3))
    assert named(data) == cars.right
    assert [cid.proves(block) for cid, block in sections(data)] == [True, True, True, False, True]
    with pytest.raises(WrongBlockError, match=str(cars.right[3])):
        cars.read(faults.CarWrongBlock(block=3))


def test_a_block_that_is_not_there(cars: Cars) -> None:
    data = cars.sent(faults.CarMissingBlock(block=2))
    assert named(data) == [cid for cid in cars.right if cid != cars.right[2]]
    with pytest.raises(MissingBlockError, match=str(cars.right[2])):
        cars.read(faults.CarMissingBlock(block=2))


def test_a_block_that_comes_again(cars: Cars) -> None:
    data = cars.sent(faults.CarDuplicateBlock(block=1, times=3))
    assert named(data) == [cars.right[0], *[cars.right[1]] * 3, *cars.right[2:]]
    assert cars.read(faults.CarDuplicateBlock()) == cars.content


@pytest.mark.parametrize(("block", "order"), [(1, "10234"), (0, "10234"), (3, "01324"), (9, "01243")])
def test_a_block_before_its_turn(cars: Cars, block: int, order: str) -> None:
    data = cars.sent(faults.CarReordered(block=block))
    assert named(data) == [cars.right[int(index)] for index in order]
    assert cars.read(faults.CarReordered(block=block)) == cars.content


@pytest.mark.parametrize(("kind", "count"), [("other", 1), ("none", 0)])
def test_roots_that_are_not_in_it(cars: Cars, kind: str, count: int) -> None:
    fault = faults.fault_from_dict({"name": "car-roots", "kind": kind})
    data = cars.sent(fault)
    assert not data.startswith(car.header([cars.root]))
    assert data[1 : data[0] + 1].count(b"\xd8\x2a") == count
    assert named(data) == cars.right
    assert cars.read(fault) == cars.content


def test_a_car_of_version_2(cars: Cars) -> None:
    """Pragma and header by the format's specification; what they point at is the CARv1."""
    data = cars.sent(faults.CarV2())
    assert data[:11] == bytes.fromhex("0aa16776657273696f6e02")
    offset, size, index = (int.from_bytes(data[at : at + 8], "little") for at in (27, 35, 43))
    assert (offset, size, index) == (51, len(data) - 51, 0)
    assert named(data[offset:]) == cars.right
    with pytest.raises(CarError, match="CARv2"):
        cars.read(faults.CarV2())


def test_a_block_that_is_too_large(cars: Cars) -> None:
    data = cars.sent(faults.CarHugeBlock(block=1))
    huge = [(cid, len(block)) for cid, block in sections(data) if cid not in cars.right]
    assert huge == [(Cid.of(bytes(2**21 + 1), RAW), 2**21 + 1)]
    assert [cid for cid in named(data) if cid in cars.right] == cars.right
    with pytest.raises((CarError, WrongBlockError), match=r"are (allowed|refused)"):
        cars.read(faults.CarHugeBlock())


@pytest.mark.parametrize(("kind", "length"), [("huge", b"\xff" * 8 + b"\x7f"), ("endless", b"\x80" * 64)])
def test_a_length_that_nothing_has(cars: Cars, kind: str, length: bytes) -> None:
    fault = faults.fault_from_dict({"name": "car-giant-length", "block": 2, "kind": kind})
    before = cars.sent(faults.CarCut(block=2))
    assert cars.sent(fault).startswith(before + length)
    with pytest.raises(CarError):
        cars.read(fault)


def test_the_last_block_where_there_are_fewer(cars: Cars) -> None:
    assert named(cars.sent(faults.CarMissingBlock(block=99))) == cars.right[:-1]


@pytest.mark.parametrize("name", sorted(name for name, fault in FAULTS.items() if fault.group == "car"))
def test_what_is_no_car_passes(cars: Cars, world: World, talk: Talk, name: str) -> None:
    """Files, raw blocks, refusals, and a CAR that was not changed since."""
    tag = talk(f"{cars.url}?format=car").headers["etag"]
    world.add("gateway1", faults.fault_from_dict({"name": name}))
    assert talk(cars.url).body == cars.content
    assert talk(f"{cars.url}?format=raw").body == world.blocks(cars.root)
    assert talk(f"{cars.url}/nope?format=car").status == 404
    assert talk(f"{cars.url}?format=car", f"If-None-Match: {tag}").status == 304
    assert talk(f"{cars.url}?format=car", method="HEAD").body == b""


def test_a_car_of_one_block(world: World, talk: Talk) -> None:
    url = f"{world.gateways[0]}/ipfs/{world.catalogue.models['m'].cids['one.bin']}?format=car"
    right = whole(talk(url).body)
    for fault, blocks in ((faults.CarReordered(), 1), (faults.CarMissingBlock(), 0), (faults.CarCut(), 0)):
        number = world.add("gateway1", fault)
        data = whole(talk(url).body)
        assert right.startswith(data)
        assert len(named(data)) == blocks
        world.remove(number)


def test_faults_add_up(cars: Cars, world: World) -> None:
    """Those of CARs among themselves, and with one of the connection."""
    world.add("gateway1", faults.CarMissingBlock(block=1))
    world.add("gateway1", faults.CarDuplicateBlock(block=1))
    world.add("gateway1", faults.NoLength())
    data = cars.sent(faults.CarRoots())
    assert named(data) == [cars.right[0], *[cars.right[2]] * 2, *cars.right[3:]]


def test_faults_of_framing_are_those_of_a_file(cars: Cars, world: World) -> None:
    """A CAR that ends with the connection; one cut inside or after a chunk; nonsense for a chunk's size."""
    right = cars.sent(faults.CarDuplicateBlock(times=1))
    heard = cars.heard(faults.NoLength(framing="close"))
    assert (heard.body, heard.end) == (right, "fin")
    assert "transfer-encoding" not in heard.headers
    assert cars.heard(faults.CutUnframed(offset=5000)).body == right[:5000]
    assert chunks(cars.heard(faults.ChunkedCut(offset=5000)).body) == (right[:5000], b"", False)
    assert b"not a chunk" in cars.heard(faults.BadChunk(offset=5000)).body[5000:]
    world.add("gateway1", faults.NoLength(framing="close"))
    assert named(cars.heard(faults.CarMissingBlock()).body) == [cars.right[0], *cars.right[2:]]


def test_a_trailer_has_no_place_without_chunks(cars: Cars, world: World) -> None:
    """Then nothing says that the CAR is not whole."""
    root = Cid.of(node := dagpb.encode(Node((Link(cars.root, "a"), Link(UNKNOWN, "b")), b"\x08\x01")), DAG_PB)
    world.blocks.put(root, node)
    cars.url = f"{world.gateways[0]}/ipfs/{root}"
    assert b"X-Stream-Error" in cars.heard(faults.CarRoots()).body
    heard = cars.heard(faults.NoLength(framing="close"))
    assert named(heard.body) == [root, *cars.right]
