"""CARv1: a header, then blocks one after the other (ipld.io/specs/transport/car/carv1).

Read as a stream, with no more in memory than one block: each is proven by its CID before it is
given. A CAR does not say where it ends, so that one cut between two blocks looks whole: whoever
walks the DAG with `BlocksOf` sees which block never came. The header's roots can be read (`roots`), and
nothing here believes them. Exclusions: CARv2 is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from fallback.ipfs import varint
from fallback.ipfs.cid import Cid, CidError
from fallback.ipfs.reading import MAX_BLOCK, DagError, TooLargeError, WrongBlockError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_HEADER = 64 << 10
MAX_CID = 256
KEEP = 32 << 20
"""Bytes of blocks kept for later that came before they were asked for."""

KEPT_COST = 1024
"""What a kept block counts beside its own bytes: many tiny ones fill a memory, too."""


class CarError(ValueError):
    """Not a CARv1, or one that is cut inside a block."""


class CutError(CarError):
    """A CAR that ends inside a block: what came before it was proven."""


class MissingBlockError(DagError):
    """The stream ended, and this block never came."""


def header(roots: Sequence[Cid]) -> bytes:
    """The beginning of a CAR, as dag-cbor."""
    cids = b"".join(
        b"\xd8\x2a" + _cbor_counted(0x40, len(root.encode()) + 1) + b"\0" + root.encode() for root in roots
    )
    made = b"\xa2\x65roots" + _cbor_counted(0x80, len(roots)) + cids + b"\x67version\x01"
    return varint.encode(len(made)) + made


def section(cid: Cid, block: bytes) -> bytes:
    """One block as it stands in a CAR."""
    return prefix(cid, len(block)) + block


def prefix(cid: Cid, size: int) -> bytes:
    """What stands in a CAR before a block of `size` bytes."""
    name = cid.encode()
    return varint.encode(len(name) + size) + name


def read(stream: BinaryIO) -> Iterator[tuple[Cid, bytes]]:
    """The blocks of a CAR in the order they come, each proven by its CID.

    Raises:
        CarError: it is none, or cut inside a block.
        WrongBlockError: a block is not what its CID says, or too large.
    """
    _checked_header(stream)
    while (data := _sized(stream, MAX_BLOCK + MAX_CID)) is not None:
        try:
            cid, at = Cid.read(data)
        except CidError as error:
            raise CarError(f"a block whose CID cannot be read: {error}") from None
        block = data[at:]
        if len(block) > MAX_BLOCK:
            raise TooLargeError(cid, f"a block of {len(block)} bytes; more than {MAX_BLOCK} are refused")
        if not cid.proves(block):
            raise WrongBlockError(cid, "other bytes came")
        yield cid, block


def roots(stream: BinaryIO) -> tuple[Cid, ...]:
    """What the header of a CAR names as its roots; whether those are in it, nobody has looked.

    Raises:
        CarError: it is no CAR, or a root is no CID.
    """
    try:
        # In dag-cbor a CID has a zero byte before it.
        return tuple(Cid.whole(root[1:]) for root in _checked_header(stream) if isinstance(root, bytes))
    except CidError as error:
        raise CarError(f"a root that cannot be read: {error}") from None


class BlocksOf:
    """The blocks of a CAR for `reading`: each is taken from the stream when it is asked for.

    Blocks that come before their time are kept, `keep` bytes at most, the oldest given up first; in
    a CAR in depth-first order with duplicates none has to be.
    """

    def __init__(self, stream: BinaryIO, keep: int = KEEP) -> None:
        self._blocks = read(stream)
        self._kept: dict[Cid, bytes] = {}
        self._size, self._keep = 0, keep

    def __call__(self, cid: Cid) -> bytes:
        """The block of `cid`.

        Raises:
            MissingBlockError: it never came, or was given up.
            CarError, WrongBlockError: as `read`.
        """
        if cid in self._kept:
            return self._kept[cid]
        for found, block in self._blocks:
            # Kept also when it is the one asked for: a CAR without duplicates has it once for all its places.
            self._put(found, block)
            if found == cid:
                return block
        raise MissingBlockError(cid, "it did not come")

    def rest(self) -> int:
        """Read to the end, proving what comes; how many blocks nobody had asked for."""
        return sum(1 for _ in self._blocks)

    def _put(self, cid: Cid, block: bytes) -> None:
        if cid not in self._kept:
            self._kept[cid] = block
            self._size += len(block) + KEPT_COST
        while self._size > self._keep and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._size -= len(self._kept.pop(oldest)) + KEPT_COST


def _sized(stream: BinaryIO, most: int) -> bytes | None:
    """The next thing with a length before it; None at the end."""
    prefix = b""
    while len(prefix) < varint.MAX_BYTES:
        byte = stream.read(1)
        if not byte:
            if prefix:
                raise CutError("cut inside a length")
            return None
        prefix += byte
        if byte[0] < 0x80:
            break
    try:
        size, _ = varint.decode(prefix)
    except varint.VarintError as error:
        raise CarError(str(error)) from None
    if not 0 < size <= most:
        raise CarError(f"a section of {size} bytes; 1 to {most} are allowed")
    data = bytearray()
    while len(data) < size:
        piece = stream.read(size - len(data))
        if not piece:
            raise CutError(f"cut inside a block, after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def _checked_header(stream: BinaryIO) -> list[object]:
    """The roots of a header of version 1; what else may stand in one is nobody's to use."""
    data = _sized(stream, MAX_HEADER)
    if data is None:
        raise CarError("an empty CAR")
    value, end = _cbor(data, 0, 0)
    if end != len(data) or not isinstance(value, dict):
        raise CarError("a header that is no map")
    if value.get("version") == 2:
        raise CarError("CARv2 is not read, only CARv1")
    named = value.get("roots")
    if value.get("version") != 1 or not isinstance(named, list):
        raise CarError("not a CARv1: no version 1, or no roots")
    return named


def _cbor_counted(kind: int, count: int) -> bytes:
    """The head of bytes (0x40) or a list (0x80) of so many, in the shortest form, as dag-cbor has it."""
    if count < 24:
        return bytes([kind + count])
    return bytes([kind + 24, count]) if count < 1 << 8 else bytes([kind + 25]) + count.to_bytes(2, "big")


def _cbor(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """One value of the few kinds a header has: whole numbers, text, bytes, lists, maps, CIDs."""
    number, kind, at = _cbor_head(data, at)
    if depth > 4:
        raise CarError("a header that is nested too deeply")
    if kind == 0:
        return number, at
    if kind in {2, 3}:
        if at + number > len(data):
            raise CarError("a header that is cut off")
        piece = data[at : at + number]
        return (piece if kind == 2 else piece.decode("utf-8", "replace")), at + number
    if kind == 4:
        values = []
        for _ in range(min(number, len(data))):
            value, at = _cbor(data, at, depth + 1)
            values.append(value)
        return values, at
    if kind == 5:
        made: dict[object, object] = {}
        for _ in range(min(number, len(data))):
            key, at = _cbor(data, at, depth + 1)
            value, at = _cbor(data, at, depth + 1)
            made[key if isinstance(key, str) else None] = value
        return made, at
    if kind == 6 and number == 42:
        return _cbor(data, at, depth + 1)
    raise CarError("a header that is not dag-cbor as CARv1 has it")


def _cbor_head(data: bytes, at: int) -> tuple[int, int, int]:
    """The number in a value's head, its major type, and where its content begins."""
    if at >= len(data):
        raise CarError("a header that is cut off")
    kind, number = data[at] >> 5, data[at] & 0x1F
    at += 1
    if number < 24:
        return number, kind, at
    if number > 27 or at + (1 << number - 24) > len(data):
        raise CarError("a header that is cut off, or has no lengths")
    size = 1 << number - 24
    return int.from_bytes(data[at : at + size], "big"), kind, at + size
