"""The moment at which files that wait, all of them proven, get their names; what fails on the way is undone in reverse.

What stands in their places, and what a replaced version alone had, becomes `.bak`; then the manifest has the new
models; then the files are renamed, and last rows vouch for them. Exclusions: no byte is read here, and what is
renamed was synced before (`cache.commit`).
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fallback import durable
from fallback.cache import NO_FILE, Found
from fallback.engine import MANIFEST, load_manifest
from fallback.errors import StorageError, storage
from fallback.events import FileCompleted, Quarantined, Waiting
from fallback.manifest import Manifest
from fallback.merge import add_to_manifest
from fallback.results import FileResult
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.bundles.staging import Staging
    from fallback.cache import Cache
    from fallback.manifest import Model
    from fallback.run import Run
    from fallback.settings import Settings
    from fallback.state import State


@dataclass(frozen=True, slots=True)
class Placing:
    """Files that wait, where they go, and the models that are to be entered in the manifest with them."""

    settings: Settings
    run: Run
    state: State
    place: Cache
    staging: Staging
    entries: tuple[Model, ...]

    def done(self) -> tuple[FileResult, ...]:
        """Give them their names.

        Raises:
            StorageError: this machine's disk failed; everything is as it was.
            ManifestError: the manifest in force was changed meanwhile, and cannot take the models; the same.
        """
        arriving = [each.wanted for each in self.staging.staged]
        leaving = list(self._leaving())
        with self._locked([*arriving, *leaving]):
            self._put(arriving, leaving)
        return tuple(self._results())

    @contextlib.contextmanager
    def _locked(self, touched: list[Wanted]) -> Iterator[None]:
        """No sync fetches or renames any of them meanwhile: it would put the old version over the new one.

        Each once, for a second lock of our own would be waited for, and in one order, so that two installs never wait
        for each other.
        """
        ends_at = time.monotonic() + self.settings.lock_timeout_s
        by_key = {self.place.key(wanted): wanted for wanted in touched}
        with contextlib.ExitStack() as held:
            for _, wanted in sorted(by_key.items()):
                left = max(0.0, ends_at - time.monotonic())
                waits = functools.partial(self._tell_wait, wanted, left)
                held.enter_context(self.place.lock(wanted, timeout_s=left, waits=waits, over=self.run.over))
                self.run.check()
            yield

    def _tell_wait(self, wanted: Wanted, seconds: float) -> None:
        reason = "it is getting this file"
        self.run.emit(Waiting(wanted.model.name, wanted.file.path, "another process", seconds, reason))

    def _put(self, arriving: list[Wanted], leaving: list[Wanted]) -> None:
        for wanted in [*arriving, *leaving]:
            target = self.place.target(wanted)
            self.place.inside(target)
            if target.is_dir() and not target.is_symlink():
                raise StorageError(target, NO_FILE)
        with contextlib.ExitStack() as undo:
            for wanted in [*arriving, *leaving]:
                self._set_aside(wanted, undo)
            self._enter(undo)
            for wanted in arriving:
                self._name(wanted, undo)
            self._make_last(arriving)
            undo.pop_all()
        for wanted in arriving:
            self._vouch(wanted)

    def _leaving(self) -> Iterator[Wanted]:
        """Files of models that are replaced, which the new version does not have as they are."""
        in_force = (
            {model.name: model for model in load_manifest(self.settings).models} if self.entries else {}
        )
        for new in self.entries:
            old, kept = in_force.get(new.name), {new.target(file): file.sha256 for file in new.files}
            for file in old.files if old is not None else ():
                if old is not None and kept.get(old.target(file)) != file.sha256:
                    yield Wanted(old, file)

    def _set_aside(self, wanted: Wanted, undo: contextlib.ExitStack) -> None:
        target = self.place.target(wanted)
        with storage(target):
            try:
                about = target.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return
        kept = self.place.set_aside(wanted, Found(about))
        if kept is None:
            raise StorageError(target, "somebody else is writing it; try again")
        undo.callback(_rename, kept, target)
        reason = "another file is to have its name"
        self.run.emit(Quarantined(wanted.model.name, wanted.file.path, kept.name, reason))

    def _enter(self, undo: contextlib.ExitStack) -> None:
        if not self.entries:
            return
        path = (self.settings.models_dir / MANIFEST).resolve()
        before = _read(path)
        manifest = Manifest(self.entries, name="of the bundle")
        add_to_manifest(manifest, settings=self.settings, observer=self.run.emit)
        undo.callback(_restore, path, before, _read(path))
        now = self.run.clock.now()
        for model in self.entries:
            self.state.cids.supersede(model.name, model.type, now=now)
        undo.callback(self.state.cids.reinstate, now)

    def _name(self, wanted: Wanted, undo: contextlib.ExitStack) -> None:
        target, come = self.place.target(wanted), self.run.cache.target(wanted)
        with storage(target):
            durable.make_folder(target.parent)
            come.rename(target)
        undo.callback(_rename, target, come)

    def _make_last(self, arriving: list[Wanted]) -> None:
        """The renames outlive a power loss before a row says that the files are there (P2)."""
        for folder in {self.place.target(wanted).parent for wanted in arriving}:
            with storage(folder):
                durable.sync_folder(folder)

    def _vouch(self, wanted: Wanted) -> None:
        verified, waited = self.state.verified, self.run.cache.key(wanted)
        row = verified.get(waited)
        verified.drop(waited)
        with contextlib.suppress(OSError):
            about = self.place.target(wanted).lstat()
            # A rename moves ctime and nothing else of what the row saw.
            if row is not None and (row := row._replace(ctime_ns=about.st_ctime_ns)).matches(
                about, row.sha256
            ):
                verified.put(self.place.key(wanted), row)

    def _results(self) -> Iterator[FileResult]:
        for each in self.staging.staged:
            file = each.wanted.file
            completed = FileCompleted(
                model=each.wanted.model.name,
                path=file.path,
                layer="bundle",
                source=self.staging.source,
                size=file.size or 0,
                bytes_received=each.bytes_received,
                attempts=int(each.bytes_received > 0),
                seconds=each.seconds,
            )
            self.run.emit(completed)
            yield FileResult(**asdict(completed))
        for wanted, size in self.staging.here:
            yield FileResult(wanted.model.name, wanted.file.path, "cache", "", size)


def _rename(path: Path, to: Path) -> None:
    with storage(to):
        path.rename(to)


def _read(path: Path) -> bytes | None:
    """What the file says; None if there is none."""
    with storage(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def _restore(path: Path, before: bytes | None, after: bytes | None) -> None:
    """What stood there before, unless somebody else wrote meanwhile."""
    if _read(path) != after:
        return
    with storage(path):
        if before is None:
            path.unlink(missing_ok=True)
        else:
            with durable.replacing(path) as stream:
                stream.write(before)
