"""Sharded directories: a hash array mapped trie whose nodes are blocks (UnixFS, HAMT).

An entry's place is murmur3-x64-64 of its name, eight bits a level from the top; where two entries
meet, a shard of its own holds them. Which entries there are says all: the order they came in does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.ipfs import dagpb
from fallback.ipfs.cid import DAG_PB, Cid
from fallback.ipfs.dagpb import Link, Node, NodeError
from fallback.ipfs.unixfs import MURMUR3, Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fallback.ipfs.unixfs import Profile

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def build(links: Sequence[Link], profile: Profile, sink: Callable[[Cid, bytes], None]) -> tuple[Cid, int]:
    """The root of a sharded directory of `links`, and the bytes of its DAG in all."""
    if profile.fanout != 256:
        raise ValueError("only a fanout of 256 is written")
    hashed = [(murmur3_64(_bytes(link.name)), link) for link in links]
    root = _shard(hashed, 0, profile, sink)
    return root.cid, root.tsize or 0


def place(name: str, depth: int, fanout: int) -> int:
    """The slot of an entry in a shard `depth` levels below the root.

    Raises:
        NodeError: the hash has no bits left for this depth.
    """
    bits = fanout.bit_length() - 1
    if (depth + 1) * bits > 64:
        raise NodeError("a sharded directory is deeper than its hash")
    return murmur3_64(_bytes(name)) >> 64 - bits * (depth + 1) & fanout - 1


def murmur3_64(data: bytes) -> int:
    """The first 64 bits of MurmurHash3 x64 128, seed 0, as a big-endian reader sees them."""
    one = two = 0
    whole = len(data) - len(data) % 16
    for at in range(0, whole, 16):
        one ^= _mixed(int.from_bytes(data[at : at + 8], "little"), _C1, 31, _C2)
        one = (_rotated(one, 27) + two) * 5 + 0x52DCE729 & _MASK
        two ^= _mixed(int.from_bytes(data[at + 8 : at + 16], "little"), _C2, 33, _C1)
        two = (_rotated(two, 31) + one) * 5 + 0x38495AB5 & _MASK
    tail = data[whole:]
    two ^= _mixed(int.from_bytes(tail[8:], "little"), _C2, 33, _C1)
    one ^= _mixed(int.from_bytes(tail[:8], "little"), _C1, 31, _C2)
    one, two = one ^ len(data), two ^ len(data)
    one = one + two & _MASK
    two = two + one & _MASK
    return _finished(one) + _finished(two) & _MASK


def _shard(
    hashed: list[tuple[int, Link]], depth: int, profile: Profile, sink: Callable[[Cid, bytes], None]
) -> Link:
    slots: dict[int, list[tuple[int, Link]]] = {}
    if depth == 8:
        raise ValueError("two names have the same 64-bit hash")
    for number, link in hashed:
        slots.setdefault(number >> 56 - 8 * depth & 0xFF, []).append((number, link))
    links = []
    for slot in sorted(slots):
        prefix = f"{slot:02X}"
        if len(slots[slot]) == 1:
            link = slots[slot][0][1]
            links.append(Link(link.cid, prefix + (link.name or ""), link.tsize))
        else:
            below = _shard(slots[slot], depth + 1, profile, sink)
            links.append(Link(below.cid, prefix, below.tsize))
    taken = sum(1 << slot for slot in slots)
    field = taken.to_bytes((taken.bit_length() + 7) // 8, "big")
    entry = Entry(Kind.SHARD, field, hash=MURMUR3, fanout=profile.fanout)
    block = dagpb.encode(Node(tuple(links), entry.encode()))
    cid = Cid.of(block, DAG_PB, version=profile.cid_version)
    sink(cid, block)
    return Link(cid, None, len(block) + sum(link.tsize or 0 for link in links))


def _bytes(name: str | None) -> bytes:
    return (name or "").encode("utf-8", "surrogateescape")


def _rotated(number: int, by: int) -> int:
    return (number << by | number >> 64 - by) & _MASK


def _mixed(number: int, first: int, by: int, second: int) -> int:
    return _rotated(number * first & _MASK, by) * second & _MASK


def _finished(number: int) -> int:
    number ^= number >> 33
    number = number * 0xFF51AFD7ED558CCD & _MASK
    number ^= number >> 33
    number = number * 0xC4CEB9FE1A85EC53 & _MASK
    return number ^ number >> 33
