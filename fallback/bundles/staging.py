"""Where the files of a bundle wait until all of them are here and right: below the models folder, under no final name.

A file that is in its place already is left there, one that waited since an earlier install is not written again, and
what an earlier one had of it is hashed and written on. Exclusions: what comes when is the bundle's, what becomes of
files that wait `installing`'s.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fallback.errors import BundleError, UnavailableError, VerificationError, storage
from fallback.events import AttemptEnded, AttemptStarted, CacheHit, Progressed
from fallback.ledger import Response
from fallback.manifest import Model
from fallback.names import UPGRADES
from fallback.waiting import BUNDLE, Waiting
from fallback.wanted import Wanted
from fallback.work import PROGRESS_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fallback.bundles.contents import Held
    from fallback.cache import Cache
    from fallback.facts import LayerName
    from fallback.manifest import Manifest
    from fallback.partial import Partial
    from fallback.run import Run
    from fallback.settings import Settings


def waiting_for(manifest: Manifest, settings: Settings) -> Waiting:
    """Where the files of these models wait: always the same place, so that a second install finds the first one's files."""
    about = "".join(f"{model.target(file)}\0{file.sha256}\0" for model, file in manifest.files())
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    return Waiting(settings.models_dir / UPGRADES / f"{BUNDLE}-{key}")


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that waits: where from, and what it cost."""

    wanted: Wanted
    bytes_received: int
    seconds: float


@dataclass(slots=True)
class Staging:
    """The files of one bundle. `run`: its cache is the folder in which they wait; `place`: the models folder."""

    run: Run
    place: Cache
    source: str
    staged: list[Staged] = field(default_factory=list)
    here: list[tuple[Wanted, int]] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    _left: dict[str, Wanted] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def take_all(self, contents: Iterable[Model | Held]) -> None:
        """Have every file that the models have, out of `contents`.

        Raises:
            BundleError: it is not what was to be expected, or a file of it is wrong.
            UnavailableError: the deadline has passed.
            StorageError: this machine's disk failed.
            StoppedError: the run was told to stop. What was proven is kept for the next install.
        """
        for each in contents:
            if isinstance(each, Model):
                self._expect(each)
            else:
                self._take(each)
        lacking = [target for target, wanted in self._left.items() if not self._has(wanted)]
        if lacking:
            raise BundleError(
                f"it does not hold {len(lacking)} file(s) of its models, the first is {lacking[0]}"
            )

    def _expect(self, model: Model) -> None:
        """Its files are to come: a place that none of them can have is told before any does."""
        for wanted in (Wanted(model, file) for file in model.files):
            self.place.free(wanted)
            self._left[model.target(wanted.file)] = wanted
        self.models.append(model)

    def _take(self, held: Held) -> None:
        wanted = self._left.pop(held.target, None)
        if wanted is None:
            twice = held.target in self._seen
            raise BundleError(
                f"it holds {held.target!r}, {'twice' if twice else 'which its manifest does not name'}"
            )
        self._seen.add(held.target)
        if held.size not in {None, wanted.file.size}:
            raise BundleError(f"{held.target}: {held.size} bytes where {wanted.file.size} were promised")
        if not self._has(wanted):
            self._write(wanted, held)

    def _has(self, wanted: Wanted) -> bool:
        """Whether it is in its place, or waits already."""
        found = self.place.lookup(wanted, over=self.run.over)
        if found is not None and found.wrong is None:
            self.run.emit(CacheHit(wanted.model.name, wanted.file.path, found.about.st_size))
            self.here.append((wanted, found.about.st_size))
            return True
        found = self.run.cache.lookup(wanted, over=self.run.over)
        if found is None:
            return False
        if found.wrong is None:
            self.staged.append(Staged(wanted, 0, 0.0))
            return True
        target = self.run.cache.target(wanted)
        with storage(target):
            target.unlink()
        return False

    def _write(self, wanted: Wanted, held: Held) -> None:
        partial = self.run.cache.partial(
            wanted, reserve_bytes=self.run.settings.reserve_bytes, over=self.run.over
        )
        who = self._who(wanted)
        begun, start = time.monotonic(), partial.size
        outcome, reason = "interrupted", "it ended before all of it had come"
        self.run.emit(AttemptStarted(*who, start))
        try:
            self._received(wanted, held, partial, begun)
            self.run.cache.commit(wanted, partial)
            outcome, reason = "delivered", "proven"
            self.staged.append(Staged(wanted, partial.size - start, time.monotonic() - begun))
        except VerificationError as error:
            outcome, reason = "corrupt", str(error)
            partial.reset()
            again = "; what an earlier install had left of it is thrown away: try once more" if start else ""
            raise BundleError(f"{held.target}: {error}{again}") from error
        finally:
            came, seconds = partial.size - start, time.monotonic() - begun
            partial.close()
            self.run.emit(AttemptEnded(*who, outcome, reason, max(0, came), wanted.file.size, seconds))

    def _received(self, wanted: Wanted, held: Held, partial: Partial, begun: float) -> None:
        start, told, size = partial.size, begun, wanted.file.size
        partial.begin(Response(start, "bundle", self.source))
        for piece in held.pieces(start):
            partial.write(piece)
            now = time.monotonic()
            if now - told >= PROGRESS_S or partial.size == size:
                told, rate = now, (partial.size - start) / max(now - begun, 1e-6)
                eta = None if size is None else (size - partial.size) / max(rate, 1e-6)
                self.run.emit(Progressed(*self._who(wanted), partial.size, size, rate, eta))
            self.run.check()
            if self.run.over():
                raise UnavailableError(str(wanted), [(self.source, "the deadline has passed")])

    def _who(self, wanted: Wanted) -> tuple[str, str, LayerName, str, int]:
        return wanted.model.name, wanted.file.path, "bundle", self.source, 1
