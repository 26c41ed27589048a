"""Deterministic bytes for a name and a size, written once, hashed once, served from mmap.

The bytes are pseudo-random (so that no compression or hole hides a mistake) and depend on nothing but name and size:
every process, run and machine gets the same file and the same SHA-256. They live in a scratch folder; several
processes may make the same file at once, since each writes its own temporary file and renames it.

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

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = (
    1 << 20
)  # bytes made with one seed: big enough that the seeding costs nothing, small enough to stay in cache
_GENERATION = "1"  # part of every file's name on disk; raise it when the generator changes


@dataclass(frozen=True)
class Blob:
    """One file's bytes: `size` in bytes, `sha256` in lower-case hex, `path` where they lie."""

    name: str
    size: int
    sha256: str
    path: Path

    def view(self, start: int = 0, stop: int | None = None) -> memoryview:
        """The bytes from `start` up to, not including, `stop` (the end if None), without copying them."""
        return _mapped(self.path, self.size)[start:stop]


def make_blob(name: str, size: int, scratch: Path | None = None) -> Blob:
    """The blob of that name and size, made now unless the scratch folder already has it."""
    if size < 0:
        raise ValueError(f"{name}: a size of {size} bytes cannot be")
    folder = scratch or scratch_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = hashlib.sha256(f"{_GENERATION}\0{name}\0{size}".encode()).hexdigest()[:32]
    path, proof = folder / key, folder / f"{key}.sha256"
    # The digest is written last, so that its presence says that the bytes are whole.
    if not proof.exists() or not path.exists() or path.stat().st_size != size:
        digest = _write_atomically(path, _blocks(name, size))
        _write_atomically(proof, iter([digest.encode()]))
    return Blob(name, size, proof.read_text(), path)


def scratch_folder() -> Path:
    """Where blobs are kept: the environment's FAKES_SCRATCH, else a folder of this user's beside other temporary files."""
    chosen = os.environ.get("FAKES_SCRATCH")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"fallback-fakes-{os.getuid()}"


def _blocks(name: str, size: int) -> Iterator[bytes]:
    for index, start in enumerate(range(0, size, BLOCK)):
        yield random.Random(f"{name}\0{size}\0{index}").randbytes(min(BLOCK, size - start))


def _write_atomically(path: Path, blocks: Iterator[bytes]) -> str:
    """Write the blocks under a name of our own, then rename; returns their SHA-256."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".making-", delete=False) as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    Path(file.name).replace(path)
    return digest.hexdigest()


@functools.cache
def _mapped(path: Path, size: int) -> memoryview:
    if size == 0:
        return memoryview(b"")  # an empty file cannot be mapped
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
