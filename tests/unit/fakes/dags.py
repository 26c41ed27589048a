"""Small DAGs whose blocks have names, so that a test can say which of them it expects, in which order."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

from fakes.answer import Request
from fakes.blockstore import Blockstore
from fakes.gateway import Gateway
from fallback.ipfs import building, car, dagpb
from fallback.ipfs.building import Built
from fallback.ipfs.cid import DAG_PB, Cid
from fallback.ipfs.dagpb import Node
from fallback.ipfs.unixfs import V0_2015, V1_2025, Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fakes.answer import Answer
    from fallback.ipfs.unixfs import Profile

KB = dataclasses.replace(V1_2025, chunk=1024)
KB_V0 = dataclasses.replace(V0_2015, chunk=1024)
NARROW = dataclasses.replace(V1_2025, chunk=1024, width=2)
SHARDED = dataclasses.replace(V1_2025, shard_over=0)


def content(size: int, start: int = 0) -> bytes:
    """Bytes of which no KiB is like another."""
    return b"".join(number.to_bytes(4, "big") for number in range(start, start + size // 4 + 1))[:size]


class Dags:
    """A root of a DAG has the name it was made with; below it, blocks are NAME/0, NAME/1… in the order they are made."""

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}
        self.names: dict[Cid, str] = {}

    def file(self, name: str, data: bytes, profile: Profile = KB) -> Built:
        made: list[Cid] = []
        built = building.file(io.BytesIO(data), profile, lambda cid, block: self._put(cid, block, made))
        self._name(name, built.cid, made)
        return built

    def folder(self, name: str, entries: Mapping[str, Built], profile: Profile = KB) -> Built:
        made: list[Cid] = []
        built = building.directory(entries, profile, lambda cid, block: self._put(cid, block, made))
        self._name(name, built.cid, made)
        return built

    def symlink(self, name: str, target: bytes) -> Built:
        block = dagpb.encode(Node(data=Entry(Kind.SYMLINK, target).encode()))
        cid = Cid.of(block, DAG_PB)
        self._put(cid, block, [])
        self._name(name, cid, [])
        return Built(cid, len(block))

    def _put(self, cid: Cid, block: bytes, made: list[Cid]) -> None:
        self.blocks[cid] = block
        made.append(cid)

    def _name(self, name: str, root: Cid, made: list[Cid]) -> None:
        for number, cid in enumerate(cid for cid in made if cid != root):
            self.names.setdefault(cid, f"{name}/{number}")
        self.names[root] = name

    def gateway(self, without: Collection[str] = ()) -> Gateway:
        """A gateway that has all of these blocks but some."""
        return Gateway(self.store(without))

    def store(self, without: Collection[str] = ()) -> Blockstore:
        blocks = Blockstore()
        for cid, block in self.blocks.items():
            if self.names[cid] not in without:
                blocks.put(cid, block)
        return blocks

    def in_car(self, data: bytes) -> list[str]:
        """The names of a CAR's blocks in order, each proven."""
        return [self.names[cid] for cid, _ in car.read(io.BytesIO(data))]

    def asked(self, path: str, query: str = "", without: Collection[str] = ()) -> list[str]:
        """The same of the CAR that a gateway gives for a path; it must be whole."""
        answer = get(self.gateway(without), path, f"format=car&{query}")
        assert answer.status == 200, (answer.status, body(answer))
        assert answer.parts is not None
        steps = list(answer.parts)
        assert all(isinstance(step, bytes) for step in steps), steps[-1]
        return self.in_car(b"".join(step for step in steps if isinstance(step, bytes)))


def get(gateway: Gateway, path: str, query: str = "", method: str = "GET", **headers: str) -> Answer:
    request = Request("gateway1", method, path, raw_path=path, query=query)
    return gateway(request.with_headers(**headers))


def body(answer: Answer) -> bytes:
    return b"".join(bytes(step) for step in answer.body if isinstance(step, bytes | memoryview))
