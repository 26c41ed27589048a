"""Deterministic bytes for a name and a size, written once, hashed once, served from mmap.

The bytes are pseudo-random (so that no compression or hole hides a mistake) and depend on nothing but name and size:
every process, run and machine gets the same file and the same SHA-256. They live in a scratch folder, and beside them
what proves them, so that a later start hashes nothing: `.sha256` of the file, `.chunks` of each MiB. Several processes
may make the same file at once, since each writes its own temporary file and renames it.

Does not clean the scratch folder, and does not check what it finds there beyond the size: the folder is the user's own.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.steps import pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.steps import Steps

BLOCK = 1 << 20
"""Bytes made with one seed, and a leaf of the profile unixfs-v1-2025: the digests of the chunks are those of its blocks."""

_GENERATION = "1"  # part of every file's name on disk; raise it when the generator changes


@dataclass(frozen=True)
class Blob:
    """One file's bytes: `size` in bytes, `sha256` in lower-case hex, `path` where they lie.

    `chunks` are the SHA-256 of each MiB (`BLOCK`), the last one shorter; an empty file has none.
    """

    name: str
    size: int
    sha256: str
    path: Path
    chunks: tuple[bytes, ...]

    def view(self, start: int = 0, stop: int | None = None) -> memoryview:
        """The bytes from `start` up to, not including, `stop` (the end if None), without copying them."""
        return _mapped(self.path, self.size)[start:stop]

    def steps(self, start: int, stop: int) -> Steps:
        """The same as what is to be sent."""
        return pieces(self.view(start, stop))


def make_blob(name: str, size: int, scratch: Path | None = None) -> Blob:
    """The blob of that name and size, made now unless the scratch folder already has it."""
    if size < 0:
        raise ValueError(f"{name}: a size of {size} bytes cannot be")
    folder = scratch or scratch_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = hashlib.sha256(f"{_GENERATION}\0{name}\0{size}".encode()).hexdigest()[:32]
    path, chunks, proof = (folder / f"{key}{ending}" for ending in ("", ".chunks", ".sha256"))
    # The digest is written last, so that its presence says that all before it is whole.
    if not (proof.exists() and chunks.exists() and path.exists()) or path.stat().st_size != size:
        digests: list[bytes] = []
        digest = _write_atomically(path, _noted(_blocks(name, size), digests))
        _write_atomically(chunks, iter(digests))
        _write_atomically(proof, iter([digest.encode()]))
    told = chunks.read_bytes()
    return Blob(
        name, size, proof.read_text(), path, tuple(told[at : at + 32] for at in range(0, len(told), 32))
    )


def scratch_folder() -> Path:
    """Where blobs are kept: the environment's FAKES_SCRATCH, else a folder of this user's beside other temporary files."""
    chosen = os.environ.get("FAKES_SCRATCH")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"fallback-fakes-{os.getuid()}"


def _blocks(name: str, size: int) -> Iterator[bytes]:
    for index, start in enumerate(range(0, size, BLOCK)):
        yield random.Random(f"{name}\0{size}\0{index}").randbytes(min(BLOCK, size - start))


def _noted(blocks: Iterator[bytes], digests: list[bytes]) -> Iterator[bytes]:
    """The same blocks, the digest of each in the list as it passes."""
    for block in blocks:
        digests.append(hashlib.sha256(block).digest())
        yield block


def _write_atomically(path: Path, blocks: Iterator[bytes]) -> str:
    """Write the blocks under a name of our own, then rename; returns their SHA-256."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".making-", delete=False) as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    Path(file.name).replace(path)
    return digest.hexdigest()


@functools.lru_cache(
    maxsize=64
)  # each holds a file open: whoever has its views still keeps an older one alive
def _mapped(path: Path, size: int) -> memoryview:
    if size == 0:
        return memoryview(b"")  # an empty file cannot be mapped
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
