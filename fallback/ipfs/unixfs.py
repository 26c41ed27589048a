"""What a DAG's nodes say of files and directories (specs.ipfs.tech/unixfs), and the profiles of IPIP-499.

A profile is all that two people must agree on to get the same CID from the same bytes. Exclusions:
blocks are made in `building` and `hamt`, and followed in `reading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from fallback.ipfs import dagpb, varint
from fallback.ipfs.dagpb import NodeError

MURMUR3 = 0x22
"""murmur3-x64-64: the only hash function of sharded directories there is."""

MAX_FANOUT = 1024
"""What a reader accepts (boxo's bound)."""


class Kind(IntEnum):
    """What a node is."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    SHARD = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """The UnixFS message in a node's data; sizes in bytes."""

    kind: Kind
    data: bytes | None = None
    size: int | None = None
    block_sizes: tuple[int, ...] = ()
    hash: int | None = None
    fanout: int | None = None

    def encode(self) -> bytes:
        """The message as bytes, its fields in the order of their numbers."""
        made = b"\x08" + varint.encode(self.kind)
        if self.data is not None:
            made += b"\x12" + varint.encode(len(self.data)) + self.data
        if self.size is not None:
            made += b"\x18" + varint.encode(self.size)
        made += b"".join(b"\x20" + varint.encode(size) for size in self.block_sizes)
        if self.hash is not None:
            made += b"\x28" + varint.encode(self.hash)
        if self.fanout is not None:
            made += b"\x30" + varint.encode(self.fanout)
        return made


def decode(data: bytes) -> Entry:
    """The message in a node's data; unknown fields (mode, mtime) are passed over, as protobuf has it.

    Raises:
        NodeError: it is none.
    """
    numbers: dict[int, int] = {}
    content: bytes | None = None
    sizes: list[int] = []
    for number, kind, value in dagpb.fields(data):
        if isinstance(value, int):
            if number == 4:
                sizes.append(value)
            else:
                numbers[number] = value
        elif number == 2:
            content = bytes(value)
        elif number == 4:
            sizes += _packed(value)
        elif number < 7:
            raise NodeError(f"UnixFS field {number} of type {kind}")
    if numbers.get(1) not in set(Kind):
        raise NodeError("no UnixFS entry, or one of an unknown kind")
    return Entry(Kind(numbers[1]), content, numbers.get(3), tuple(sizes), numbers.get(5), numbers.get(6))


def _packed(data: memoryview) -> list[int]:
    sizes, at = [], 0
    try:
        while at < len(data):
            size, at = varint.decode(data, at)
            sizes.append(size)
    except varint.VarintError as error:
        raise NodeError(str(error)) from None
    return sizes


@dataclass(frozen=True, slots=True)
class Profile:
    """How bytes become blocks; sizes in bytes."""

    name: str
    cid_version: int
    chunk: int
    width: int
    """Links of a file's inner node at most."""
    raw_leaves: bool
    by_block_size: bool
    """A directory's size is that of its block; else that of its links' names and CIDs."""
    fanout: int = 256
    shard_over: int = 256 << 10
    """A directory is sharded if its size is over this."""


V1_2025 = Profile("unixfs-v1-2025", 1, 1 << 20, 1024, raw_leaves=True, by_block_size=True)
V0_2015 = Profile("unixfs-v0-2015", 0, 256 << 10, 174, raw_leaves=False, by_block_size=False)
KUBO_CID_V1 = Profile("kubo-default-cid-v1", 1, 256 << 10, 174, raw_leaves=True, by_block_size=False)
PROFILES = {profile.name: profile for profile in (V1_2025, V0_2015, KUBO_CID_V1)}
"""By name; the first is the default."""
