"""The dag-pb codec: a node is links and data (ipld.io/specs/codecs/dag-pb).

Written as the specification has it: links before data. Read strictly (no unknown field, no field
twice, the fields of a link in order), but data may stand before the links (IPIP-550); not between
them. Exclusions: what the data says is `unixfs`'s to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback.ipfs import varint
from fallback.ipfs.cid import Cid, CidError

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES = 2
"""Protobuf's wire type of everything with a length."""

Field = tuple[int, int, int | memoryview]
"""Field number, wire type, value."""


class NodeError(ValueError):
    """Bytes that are no node, or not one as it must be written."""


@dataclass(frozen=True, slots=True)
class Link:
    """A child: its CID, its name, and how many bytes its DAG has in all."""

    cid: Cid
    name: str | None = None
    tsize: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """Links, and data if there is any."""

    links: tuple[Link, ...] = ()
    data: bytes | None = None


def encode(node: Node) -> bytes:
    """The node as a block."""
    made = [_sized(0x12, _encode_link(link)) for link in node.links]
    if node.data is not None:
        made.append(_sized(0x0A, node.data))
    return b"".join(made)


def decode(block: bytes | memoryview) -> Node:
    """The node in a block.

    Raises:
        NodeError: it is none.
    """
    links: list[Link] = []
    data: bytes | None = None
    closed = False  # after data that stands behind links, nothing may follow
    for number, value in _sized_fields(block):
        if closed:
            raise NodeError("fields in an order that is not allowed")
        if number == 2:
            links.append(_decode_link(value))
        elif number == 1 and data is None:
            data, closed = bytes(value), bool(links)
        else:
            raise NodeError(f"field {number} is not a node's, or there twice")
    return Node(tuple(links), data)


def fields(data: bytes | memoryview) -> Iterator[Field]:
    """Protobuf's fields, one after the other: whole numbers and things with a length only.

    Raises:
        NodeError: they cannot be read.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        try:
            key, at = varint.decode(view, at)
            value, at = varint.decode(view, at)
        except varint.VarintError as error:
            raise NodeError(str(error)) from None
        if key & 7 == BYTES:
            if at + value > len(view):
                raise NodeError("a field is cut off")
            yield key >> 3, BYTES, view[at : at + value]
            at += value
        elif key & 7 == 0:
            yield key >> 3, 0, value
        else:
            raise NodeError(f"wire type {key & 7}")


def _sized_fields(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, _, value in fields(data):
        if isinstance(value, int):
            raise NodeError(f"field {number} is a number")
        yield number, value


def _encode_link(link: Link) -> bytes:
    made = _sized(0x0A, link.cid.encode())
    if link.name is not None:
        made += _sized(0x12, link.name.encode("utf-8", "surrogateescape"))
    if link.tsize is not None:
        made += b"\x18" + varint.encode(link.tsize)
    return made


def _decode_link(data: memoryview) -> Link:
    cid: Cid | None = None
    name: str | None = None
    tsize: int | None = None
    last = 0
    for number, kind, value in fields(data):
        if number <= last:
            raise NodeError("fields of a link out of order, or there twice")
        last = number
        if number == 1 and not isinstance(value, int):
            cid = _cid(value)
        elif number == 2 and not isinstance(value, int):
            name = bytes(value).decode("utf-8", "surrogateescape")
        elif number == 3 and isinstance(value, int):
            tsize = value
        else:
            raise NodeError(f"field {number} of type {kind} is not a link's")
    if cid is None:
        raise NodeError("a link without a CID")
    return Link(cid, name, tsize)


def _cid(data: memoryview) -> Cid:
    try:
        cid, end = Cid.read(data)
    except CidError as error:
        raise NodeError(f"a link to what is no CID: {error}") from None
    if end != len(data):
        raise NodeError("bytes behind a CID")
    return cid


def _sized(key: int, data: bytes) -> bytes:
    return bytes([key]) + varint.encode(len(data)) + data
