"""What is here of a file that is still on its way: chunks of its partial, each proven whenever it is given.

Only of a file whose chunks the manifest lists, for nothing else tells which bytes of a partial are right. A
chunk that is given is in memory by then, and was hashed there: whoever writes the partial may go on. Exclusions:
no partial is taken over or changed (`adoption`), and no chunk is given that is here but in part.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import TYPE_CHECKING

from fallback import adoption, chunks
from fallback.errors import FallbackError
from fallback.share.shelf import ChangedError, is_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.chunks import Chunk, Chunks
    from fallback.manifest import File, Manifest

AHEAD = 64
"""So many chunks are looked at before an answer says how much of them it holds; who wants more asks again."""


LOAD_S = 1.0
"""So often is the manifest read at most, whatever is asked for."""


class Arrivals:
    """The partials below the models folder, by the SHA-256 that the manifest in force has for their files."""

    def __init__(self, models_dir: Path, manifest: Callable[[], Manifest]) -> None:
        self._root, self._manifest = models_dir, manifest
        self._listed: dict[str, list[tuple[Path, File]]] = {}
        self._due_at = -math.inf

    def take(self, sha256: str) -> Arriving | None:
        """The largest partial of this file, open; None if there is none, or nobody can say what of it is right."""
        now = time.monotonic()
        if now >= self._due_at:
            self._listed, self._due_at = self._by_digest(), now + LOAD_S
        for target, file in self._listed.get(sha256, ()):
            if (opened := self._opened(target, file)) is not None:
                return opened
        return None

    def _by_digest(self) -> dict[str, list[tuple[Path, File]]]:
        listed: dict[str, list[tuple[Path, File]]] = {}
        with contextlib.suppress(FallbackError):  # a manifest that cannot be used names no file
            for model, file in self._manifest().files():
                if file.sha256 and file.chunks:
                    listed.setdefault(file.sha256, []).append((self._root / model.dir / file.path, file))
        return listed

    def _opened(self, target: Path, file: File) -> Arriving | None:
        if not is_inside(self._root, target):
            return None
        for each in adoption.left_of(target, file):
            try:
                descriptor = os.open(each.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:  # it has its final name by now, or another owner's
                continue
            return Arriving(descriptor, chunks.of_file(file))
        return None


class Arriving:
    """An open partial. `descriptor` is its own from now on; `listed` are all chunks of the file."""

    def __init__(self, descriptor: int, listed: Chunks) -> None:
        self._descriptor, self._listed = descriptor, listed
        self._last: tuple[Chunk, bytes] | None = None

    @property
    def size(self) -> int:
        """Bytes that the whole file has."""
        return self._listed[-1].stop

    def reach(self, start: int, stop: int) -> int:
        """Up to where its chunks are right from `start` on, `AHEAD` of them at most."""
        at = start
        for chunk in self._listed[self._number(start) :][:AHEAD]:
            if at >= stop or self._proven(chunk) is None:
                break
            at = min(chunk.stop, stop)
        return at

    def read(self, start: int, stop: int) -> bytes:
        """These bytes, or those of them that are of the first one's chunk."""
        chunk = self._listed[self._number(start)]
        data = self._proven(chunk)
        if data is None:
            raise ChangedError
        return data[start - chunk.start : stop - chunk.start]

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def _number(self, at: int) -> int:
        return at // (self._listed[0].stop - self._listed[0].start)

    def _proven(self, chunk: Chunk) -> bytes | None:
        if self._last is None or self._last[0] is not chunk:
            data = os.pread(self._descriptor, chunk.stop - chunk.start, chunk.start)
            if not chunk.is_of(data):
                return None
            self._last = chunk, data
        return self._last[1]
