"""The bytes of a file out of a CAR that a gateway sends, each block proven by its CID before it counts.

Such a gateway need not be trusted, and a wrong block is known at once, and whose it is (ipfs/specs,
trustless-gateway). Exclusions: what is asked for is said in `sources`, and that the CID is of the
right file is the manifest's word: the whole file is still proven by its SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

from fallback.ipfs import reading
from fallback.ipfs.car import BlocksOf, CarError, CutError, MissingBlockError
from fallback.ipfs.cid import Cid, CidError
from fallback.ipfs.reading import DagError, MissingLinkError, TooLargeError, WrongBlockError
from fallback.outcome import Corrupt, Failed, Interrupted, Malformed, NotHere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.answer import Answer

KEEP_BYTES = 8 << 20
"""Of blocks that came before they were needed: a gateway that has them in another order, or once only."""

SLACK_BYTES = 4 << 20


def car_bytes(size: int) -> int:
    """How large a CAR may be that holds `size` bytes of a file (P3): CIDs, inner nodes, the folders on the way."""
    return size + size // 8 + SLACK_BYTES


def file_bytes(answer: Answer, path: str, start: int, stop: int | None, limit: int) -> Iterator[bytes]:
    """The bytes `start` <= b < `stop` of the file at `path` (`cid` or `cid/below`), out of at most `limit` bytes of CAR.

    Raises:
        Failed: Corrupt at the first block that is wrong; Interrupted where the CAR ends too early,
            or what it should hold never comes; Malformed if it is no CAR of a file.
    """
    root, _, below = path.partition("/")
    blocks = BlocksOf(cast("BinaryIO", _Stream(answer.pieces(limit))), KEEP_BYTES)
    try:
        cid = reading.resolve(Cid.parse(root), below, blocks)
        yield from reading.file(cid, blocks, start, stop)
    except TooLargeError as error:
        raise Failed(Malformed(str(error))) from None
    except WrongBlockError as error:
        raise Failed(Corrupt(f"a wrong block: {error}", mendable=True)) from None
    except (CutError, MissingBlockError) as error:
        raise Failed(Interrupted(f"the CAR ended early: {error}")) from None
    except (MissingLinkError, CidError) as error:
        raise Failed(NotHere(f"not there: {error}")) from None
    except (CarError, DagError) as error:
        raise Failed(Malformed(str(error))) from None


class _Stream:
    """Pieces to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._piece = pieces, memoryview(b"")

    def read(self, size: int) -> memoryview | bytes:
        """`size` bytes or fewer; none at the end."""
        if not self._piece:
            self._piece = memoryview(next(self._pieces, b""))
        taken, self._piece = self._piece[:size], self._piece[size:]
        return bytes(taken)
