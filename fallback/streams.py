"""Sources of bytes that are no HTTP servers: a file, a member of a tar, an object in somebody's store. Pure.

A `Source` puts a `Stream` into its `Request`, and everything else is as for any other source: the same
proof, health, events. Exclusions: nothing is opened or read here (`stream_answer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the bytes of one file are read from.

    `open` is given the byte to begin at, and gives a stream of the bytes from there on, and the size of the
    whole. It is called in a thread that may be abandoned if it `is_remote`: then opening or reading may never
    return. What fails is an `OSError`; `FileNotFoundError` says that the file is not there. What
    comes behind the whole is not read.
    """

    open: Callable[[int], tuple[BinaryIO, int]]
    is_remote: bool = False
