"""Hostile blocks: CARs and DAGs that somebody spoiled, or made to harm. Right bytes or an outcome, in bounded time and memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from fallback import chunks
from fallback.ipfs import building, car, dagpb, reading, unixfs
from fallback.ipfs.cid import DAG_PB, RAW, Cid
from fallback.ipfs.dagpb import Link, Node, NodeError
from fallback.ipfs.reading import DagError
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015, Entry, Kind
from fallback.outcome import Failed
from fallback.trustless import car_bytes, file_bytes
from tests.hostile.fuzzing import examples, spoiled, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.answer import Answer
    from fallback.ipfs.unixfs import Profile

DATA = bytes(range(256)) * 2500  # 640 kB: three chunks of 256 KiB
BLOCKS: dict[Cid, bytes] = {}
ROOTS = [
    building.file(io.BytesIO(DATA), profile, BLOCKS.__setitem__).cid for profile in (V0_2015, KUBO_CID_V1)
]


class Sent:
    """An answer whose body is `data`, as `trustless` reads one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def pieces(self, limit: int) -> Iterator[bytes]:
        """At most `limit` bytes of it."""
        yield from (
            self._data[at : min(at + 1000, limit)] for at in range(0, min(limit, len(self._data)), 1000)
        )


def sections(root: Cid) -> list[bytes]:
    """The blocks of a file's CAR in their order."""
    links = dagpb.decode(BLOCKS[root]).links
    return [car.section(cid, BLOCKS[cid]) for cid in (root, *(link.cid for link in links))]


@st.composite
def cars(draw: st.DrawFn, root: Cid) -> bytes:
    """The file's CAR with sections moved, doubled, gone or not theirs, or with its bytes spoiled."""
    made = sections(root)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(made) - 1))
        match draw(st.sampled_from(["double", "move", "drop", "tiny", "other"])):
            case "double":
                made.insert(draw(st.integers(0, len(made))), made[at])
            case "move":
                made.insert(draw(st.integers(0, len(made) - 1)), made.pop(at))
            case "drop" if len(made) > 1:
                del made[at]
            case "tiny":
                made[at:at] = [car.section(Cid.of(bytes([n]), RAW), bytes([n])) for n in range(200)]
            case _:
                made[at] = car.section(draw(st.sampled_from(ROOTS)), draw(st.binary(max_size=50)))
    whole = car.header(draw(st.lists(st.sampled_from(ROOTS), max_size=3))) + b"".join(made)
    if draw(st.booleans()):
        cut = draw(st.integers(0, 400))
        whole = draw(spoiled(whole[:cut])) + whole[cut:]
    return whole


@examples(30)
@given(data=st.data(), root=st.sampled_from(ROOTS), start=st.sampled_from([0, 1, 300_000]))
def test_a_car_gives_right_bytes_or_none(data: st.DataObject, root: Cid, start: int) -> None:
    """Whatever stands in it: what comes out is the file's, from its first byte on."""
    sent = data.draw(cars(root))
    given_: list[bytes] = []
    with tried("CAR"):
        try:
            answer = cast("Answer", Sent(sent))
            given_.extend(file_bytes(answer, str(root), start, None, car_bytes(len(DATA))))
        except Failed as failed:
            assert failed.outcome.reason
        else:
            assert b"".join(given_) == DATA[start:]
        assert DATA[start:].startswith(b"".join(given_))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[Cid, bytes], Cid]:
    """A DAG of nodes that claim anything of those below them, each of which may be there many times."""
    store: dict[Cid, bytes] = {}
    known = [Cid.of(b"never there", RAW)]
    for block in draw(st.lists(st.binary(max_size=20), max_size=3)):
        store[Cid.of(block, RAW)] = block
        known.append(Cid.of(block, RAW))
    for _ in range(draw(st.integers(1, 40))):
        sizes = tuple(draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 20, 2**40, 2**62]), max_size=4)))
        links = tuple(
            Link(draw(st.sampled_from(known[-2:])), draw(st.sampled_from(["", "a", "00a"])), 0) for _ in sizes
        )
        content = draw(st.sampled_from([None, b"", b"x"]))
        kind = draw(
            st.sampled_from([Kind.FILE, Kind.FILE, Kind.FILE, Kind.DIRECTORY, Kind.SHARD, Kind.SYMLINK])
        )
        entry = Entry(kind, content, None, sizes, 0x22, draw(st.sampled_from([None, 8, 256])))
        block = dagpb.encode(Node(links, entry.encode()))
        store[Cid.of(block, DAG_PB)] = block
        known.append(Cid.of(block, DAG_PB))
    return store, known[-1]


@examples(25)
@given(made=graphs())
def test_a_graph_that_lies_of_itself(made: tuple[dict[Cid, bytes], Cid]) -> None:
    """No node is worth more than the bytes it holds: what is empty or contradicts itself costs nothing to find out."""
    store, root = made
    fetched = 0

    def blocks(cid: Cid) -> bytes:
        nonlocal fetched
        fetched += 1
        assert fetched < 20_000, "the same few blocks, again and again"
        return store.get(cid, b"")

    with tried("DAG"):
        for ask in (
            lambda: sum(
                1 for _, piece in zip(range(5000), reading.file(root, blocks), strict=False) if piece
            ),
            lambda: chunks.of_leaves(reading.leaves(root, blocks), 5000),
            lambda: reading.resolve(root, "a/a/a", blocks),
        ):
            try:
                ask()
            except DagError as error:
                assert str(error)


@examples(80)
@given(data=st.data(), profile=st.sampled_from([V0_2015, KUBO_CID_V1]))
def test_a_node_whose_bytes_are_spoiled(data: st.DataObject, profile: Profile) -> None:
    """Read or refused; what was read is written again as something that reads the same."""
    block = data.draw(spoiled(BLOCKS[ROOTS[profile is KUBO_CID_V1]]))
    with tried("dag-pb node"):
        try:
            node = dagpb.decode(block)
            unixfs.decode(node.data or b"")
        except NodeError as error:
            assert str(error)
        else:
            assert dagpb.decode(dagpb.encode(node)) == node
