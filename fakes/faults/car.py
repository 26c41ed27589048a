"""Faults of CARs: blocks that are cut, wrong, missing or too many, and headers that lead astray.

Only an answer that is a CAR is changed; `block` counts its blocks from 0, and is the last one where there are fewer. The
chunked coding around it stays whole, so that nothing but the blocks themselves says what is wrong.
"""

from __future__ import annotations

import dataclasses
import itertools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes import steps
from fakes.faults.base import Fault, not_negative
from fallback.ipfs import car
from fallback.ipfs.cid import RAW, Cid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.answer import Answer, Request, Serve

    Bend = Callable[[steps.Data], steps.Steps]
    """A block as it stands in the CAR -> what is sent instead."""

_MAX_BLOCK = 2 << 20  # bytes; a client should refuse a larger block (trustless gateway specification)
_MOST_HUGE = 64 << 20  # bytes; it is made and hashed while nobody else is served
_V2 = b"\x0a\xa1\x67version\x02"  # what a CARv2 begins with: a CARv1's header of version 2, and no roots
_BOGUS = Cid.of(b"a root that leads nowhere", RAW)


@dataclass(frozen=True)
class CarCut(Fault, name="car-cut", group="car"):
    """A CAR that ends before a block, or `inside` it; with `close` the connection does too, without the last chunk."""

    block: int = 1
    inside: bool = False
    close: bool = False

    def __post_init__(self) -> None:
        not_negative(self, "block")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Cut between two blocks, the rest looks like a whole CAR: only who knows the DAG sees what is missing."""

        def cut(parts: steps.Steps) -> Iterator[steps.Step]:
            for is_it, part in _aimed(parts, self.block):
                if is_it and isinstance(part, steps.Data):
                    yield part[: len(part) // 2] if self.inside else b""
                    break
                yield part
            if self.close:
                yield steps.Close()

        return _bent(serve(request), cut)


@dataclass(frozen=True)
class CarWrongBlock(Fault, name="car-wrong-block", group="car"):
    """A block of a CAR with one bit flipped, under the CID of the right one."""

    block: int = 1

    def __post_init__(self) -> None:
        not_negative(self, "block")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Its last bit: of an empty block, that of its CID."""
        return _instead(request, serve, self.block, lambda part: (part[:-1], bytes([part[-1] ^ 1])))


@dataclass(frozen=True)
class CarMissingBlock(Fault, name="car-missing-block", group="car"):
    """A CAR without one of its blocks, and with all that follow it."""

    block: int = 1

    def __post_init__(self) -> None:
        not_negative(self, "block")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Left out, and nothing said."""
        return _instead(request, serve, self.block, lambda _part: ())


@dataclass(frozen=True)
class CarDuplicateBlock(Fault, name="car-duplicate-block", group="car"):
    """A block of a CAR comes `times` times, though dups=n was said."""

    block: int = 1
    times: int = 2

    def __post_init__(self) -> None:
        not_negative(self, "block")
        not_negative(self, "times", most=1_000_000)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """All of them right: a client has to bear it."""
        return _instead(request, serve, self.block, lambda part: itertools.repeat(part, self.times))


@dataclass(frozen=True)
class CarReordered(Fault, name="car-reordered", group="car"):
    """A block of a CAR comes before the one it should follow, though order=dfs was said."""

    block: int = 1

    def __post_init__(self) -> None:
        not_negative(self, "block")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Two blocks change places; a CAR of one block stays as it is."""

        def reordered(parts: steps.Steps) -> Iterator[steps.Step]:
            held: steps.Step | None = None
            for place, (is_it, part) in enumerate(_aimed(parts, max(1, self.block))):
                if is_it and place > 1:  # behind the header and a block
                    yield part
                    continue
                if held is not None:
                    yield held
                held = part
            if held is not None:
                yield held

        return _bent(serve(request), reordered)


@dataclass(frozen=True)
class CarRoots(Fault, name="car-roots", group="car"):
    """The header of a CAR names roots that are not in it: one, or none at all."""

    kind: Literal["other", "none"] = "other"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The blocks are right, and the header is nobody's to believe."""
        roots = [_BOGUS] if self.kind == "other" else []

        return _bent(
            serve(request), lambda parts: steps.chain((car.header(roots),), itertools.islice(parts, 1, None))
        )


@dataclass(frozen=True)
class CarV2(Fault, name="car-v2", group="car"):
    """A CARv2 around the CARv1 that was asked for, under version=1."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Without an index; what is inside it is whole."""
        size = sum(len(part) for part in serve(request).parts or () if isinstance(part, steps.Data))
        head = _V2 + struct.pack("<16xQQQ", len(_V2) + 40, size, 0)
        return _bent(serve(request), lambda parts: steps.chain((head,), parts))


@dataclass(frozen=True)
class CarHugeBlock(Fault, name="car-huge-block", group="car"):
    """A block of `size` bytes, more than the 2 MiB that a client should take, before another; its hash is right."""

    block: int = 1
    size: int = _MAX_BLOCK + 1

    def __post_init__(self) -> None:
        not_negative(self, "block")
        not_negative(self, "size", most=_MOST_HUGE)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Zeros, which no DAG asked for."""
        zeros = bytes(self.size)
        huge = car.section(Cid.of(zeros, RAW), zeros)
        return _instead(request, serve, self.block, lambda part: (huge, part))


@dataclass(frozen=True)
class CarGiantLength(Fault, name="car-giant-length", group="car"):
    """Before a block stands a length of 2^63-1 bytes, or (`endless`) one whose varint does not end for 64 bytes."""

    block: int = 1
    kind: Literal["huge", "endless"] = "huge"

    def __post_init__(self) -> None:
        not_negative(self, "block")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Who makes room for what was promised has no memory left."""
        length = b"\xff" * 8 + b"\x7f" if self.kind == "huge" else b"\x80" * 64
        return _instead(request, serve, self.block, lambda part: (length, part))


def _bent(answer: Answer, bend: Callable[[steps.Steps], steps.Steps]) -> Answer:
    """The same CAR with other parts; another answer as it is."""
    if answer.parts is None:
        return answer
    parts = bend(answer.parts)
    is_chunked = answer.header("transfer-encoding") == "chunked"
    return dataclasses.replace(answer, parts=parts, body=steps.chunked(parts) if is_chunked else parts)


def _instead(request: Request, serve: Serve, block: int, bend: Bend) -> Answer:
    """The same CAR with something else in the place of one block."""

    def bent(parts: steps.Steps) -> Iterator[steps.Step]:
        for is_it, part in _aimed(parts, block):
            if is_it and isinstance(part, steps.Data):
                yield from bend(part)
            else:
                yield part

    return _bent(serve(request), bent)


def _aimed(parts: steps.Steps, block: int) -> Iterator[tuple[bool, steps.Step]]:
    """Each part, and whether it is the block of that number, or the last where there are fewer; the header never is."""
    following = enumerate(parts, start=-1)  # the header is no block
    held = next(following, None)
    while held is not None:
        number, part = held
        held = next(following, None)
        yield number >= 0 and (number == block or (held is None and number < block)), part
