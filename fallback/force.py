"""Whether a file is still what the manifest in force says, while a run goes on that began by an earlier one.

An upgrade or an install changes the manifest, and waits for a run that is at one of its files only so long; files that
the run has not begun it cannot wait for at all. Exclusions: who goes by a manifest of his own is not asked.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fallback.errors import FallbackError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.manifest import Manifest
    from fallback.wanted import Wanted


class Force:
    """The manifest at `path`, as it is at any time; made before the run reads it. `load` reads the one in force."""

    def __init__(self, path: Path, load: Callable[[], Manifest]) -> None:
        self._path, self._load = path, load
        self._lock = threading.Lock()
        self._mark = self._seen()
        self._digests: dict[str, str | None] | None = None

    def promises(self, wanted: Wanted) -> bool:
        """Whether it has the file as the run has it. One that cannot be read, or is gone, changes nothing."""
        with self._lock:
            mark = self._seen()
            if mark is not None and mark != self._mark:
                try:
                    manifest = self._load()
                except FallbackError:
                    return True
                self._digests = {model.target(file): file.sha256 for model, file in manifest.files()}
                self._mark = mark
            if self._digests is None:
                return True
            target = wanted.model.target(wanted.file)
            return target in self._digests and self._digests[target] == wanted.file.sha256

    def _seen(self) -> tuple[int, ...] | None:
        """What changes when somebody writes it; None if it is not there."""
        try:
            about = self._path.stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
