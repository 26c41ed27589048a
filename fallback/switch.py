"""The moment at which a model becomes another version of itself: files that wait, proven, take their places.

A new version is fetched into a folder of its own below the models folder and proven there, file by file,
while the old one stays in force. Only when all of it is there:

1. what is about to be done is written down beside the files;
2. the old files that make room are renamed to `.bak`;
3. the model's entry in `.manifests.json` becomes the new one;
4. the waiting files get their final names, and their rows go with them;
5. what was known of the model's version is about the new one.

So a final name is absent or exactly right by the manifest in force, at every instant (P1). Whatever fails is
undone in reverse, and the old version is in force again. A process that is killed in between leaves what
it wrote down, and the next run finishes it (`finish_upgrades`), without a request.

Exclusions: nothing is requested, compared or asked here (`upgrade`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fallback import durable, locks
from fallback.cache import NO_FILE, Cache, Found
from fallback.clock import Clock
from fallback.engine import load_manifest
from fallback.errors import ConfigError, StorageError, storage
from fallback.events import Warned
from fallback.manifest import Manifest
from fallback.merge import add_to_manifest
from fallback.names import UPGRADES
from fallback.state import State
from fallback.sweeping import Leftover
from fallback.version import pin
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fallback.events import Event, Observer
    from fallback.manifest import File, Model
    from fallback.settings import Settings

INTENT = "entry.json"
FILES = "files"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where the files of one new version wait: `files` has them at their paths in the model."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings, model: Model) -> Waiting:
        """The place of this version of the model: always the same, so that a second attempt finds the first one's files."""
        assert model.huggingface is not None, "a new version comes from a repository"
        about = f"{model.name}\0{model.huggingface.repo}\0{model.huggingface.path}"
        key = hashlib.sha256(about.encode()).hexdigest()[:16]
        return cls(settings.models_dir / UPGRADES / f"{key}-{model.huggingface.revision[:16]}")

    @property
    def files(self) -> Path:
        """The folder of the files."""
        return self.folder / FILES

    def has(self, file: File) -> bool:
        """Whether the file waits there."""
        return (self.files / file.path).is_file()

    def locked(self, settings: Settings, timeout_s: float | None = None) -> AbstractContextManager[bool]:
        """Hold what keeps two processes from upgrading the same model at a time."""
        name = f"{self.folder.name.partition('-')[0]}.upgrade.lock"
        seconds = settings.lock_timeout_s if timeout_s is None else timeout_s
        return locks.held(settings.state_path / "locks" / name, timeout_s=seconds)

    def drop_others(self) -> None:
        """Delete what waits for other versions of the same model: nobody comes for it any more."""
        for other in self.folder.parent.glob(f"{self.folder.name.partition('-')[0]}-*"):
            if other != self.folder and not (other / INTENT).exists():
                shutil.rmtree(other, ignore_errors=True)

    def left_over(self, before: float = math.inf) -> Leftover | None:
        """What is here, if no switch needs it and nobody has touched any of it since that moment."""
        if self.folder.is_symlink() or not self.folder.is_dir() or (self.folder / INTENT).exists():
            return None
        walk = ((here, name) for here, folders, names in os.walk(self.folder) for name in (*folders, *names))
        abouts = [self.folder.lstat(), *(os.lstat(f"{here}/{name}") for here, name in walk)]
        touched_at = max(max(about.st_mtime, about.st_ctime) for about in abouts)
        size = sum(about.st_size for about in abouts if stat.S_ISREG(about.st_mode))
        return Leftover(self.folder, "version", size, touched_at) if touched_at < before else None

    def drop_if_still(self, left: Leftover, settings: Settings) -> bool:
        """Delete it if it is what it was when it was looked at, and no upgrade is at it; whether it was.

        Raises:
            OSError: it cannot be deleted.
        """
        with self.locked(settings, timeout_s=0) as is_ours:
            if not is_ours or self.left_over() != left:
                return False
            shutil.rmtree(self.folder)
        return True

    def drop(self) -> None:
        """Delete the folder, and that of all of them if it was the last."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


def finish_upgrades(settings: Settings, observer: Observer | None = None) -> None:
    """Finish every switch that a process was killed in, without a request.

    One that cannot be finished, because somebody changed what it is about, is told of and dropped.

    Raises:
        StorageError: this machine's disk failed; what was in force still is.
    """
    tell = observer or _ignore
    with storage(settings.models_dir):
        intents = sorted((settings.models_dir / UPGRADES).glob(f"*/{INTENT}"))
    for intent in intents:
        waiting = Waiting(intent.parent)
        with waiting.locked(settings):
            if not intent.exists():
                continue  # it was not interrupted: another process was at it
            try:
                (new,) = Manifest.load(intent).models
                tell(Warned(f"an upgrade of {new.name} was interrupted, and is finished now"))
                switch(settings, new, waiting, observer)
            except ConfigError as error:
                tell(Warned(f"an interrupted upgrade cannot be finished and is dropped: {error}"))
                waiting.drop()


def switch(
    settings: Settings, new: Model, waiting: Waiting, observer: Observer | None = None
) -> tuple[Path, ...]:
    """Put the new version in force, with the files that wait; what the old ones were renamed to.

    Raises:
        ConfigError: the manifest in force has no such model, or cannot take it; nothing was changed.
        StorageError: this machine's disk failed; the old version is in force.
    """
    tell = observer or _ignore
    old = load_manifest(settings).model(new.name)
    with State(settings.state_path, lambda message: tell(Warned(message))) as state:
        cache = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        kept = _Switch(settings, cache, state, old, new, waiting).done()
    waiting.drop()
    return kept


@dataclass(frozen=True, slots=True)
class _Switch:
    settings: Settings
    cache: Cache
    state: State
    old: Model
    new: Model
    waiting: Waiting

    def done(self) -> tuple[Path, ...]:
        arriving = [file for file in self.new.files if self.waiting.has(file)]
        staying = {file.path for file in self.new.files}
        leaving = [*arriving, *(file for file in self.old.files if file.path not in staying)]
        for file in leaving:
            target = self._target(file)
            self.cache.inside(target)
            if target.is_dir() and not target.is_symlink():
                raise StorageError(target, NO_FILE)
        with contextlib.ExitStack() as held, contextlib.ExitStack() as undo:
            for file in leaving:  # a sync of another process neither takes away nor fetches meanwhile
                held.enter_context(self._lock(file))
            self._note(undo)
            kept = [path for file in leaving if (path := self._set_aside(file, undo)) is not None]
            self._enter(undo)
            for file in arriving:
                self._place(file, undo)
            undo.pop_all()
        self._know()
        return tuple(kept)

    def _target(self, file: File) -> Path:
        return self.settings.models_dir / self.new.target(file)

    def _lock(self, file: File) -> AbstractContextManager[bool]:
        return self.cache.lock(
            Wanted(self.new, file),
            timeout_s=self.settings.lock_timeout_s,
            waits=lambda: None,
            over=lambda: False,
        )

    def _note(self, undo: contextlib.ExitStack) -> None:
        intent = self.waiting.folder / INTENT
        with storage(intent):
            durable.make_folder(intent.parent)
            durable.write_text(intent, Manifest((self.new,), name=str(intent)).to_json())
        undo.callback(intent.unlink, missing_ok=True)
        if contents(self.old) != contents(self.new):
            now = Clock().now()
            self.state.cids.supersede(self.new.name, self.new.type, now=now)
            undo.callback(self.state.cids.reinstate, now)

    def _set_aside(self, file: File, undo: contextlib.ExitStack) -> Path | None:
        target = self._target(file)
        try:
            about = target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        kept = self.cache.set_aside(Wanted(self.new, file), Found(about))
        if kept is None:
            raise StorageError(target, "somebody else is writing it; try again")
        undo.callback(_rename, kept, target)
        with storage(target):
            durable.sync_folder(target.parent)
        return kept

    def _enter(self, undo: contextlib.ExitStack) -> None:
        undo.callback(self._add, self.old)
        self._add(self.new)

    def _add(self, model: Model) -> None:
        add_to_manifest(Manifest((model,), name=f"of {model.name}"), settings=self.settings)

    def _place(self, file: File, undo: contextlib.ExitStack) -> None:
        target, come = self._target(file), self.waiting.files / file.path
        with storage(target):
            durable.make_folder(target.parent)
            come.rename(target)
            undo.callback(_rename, target, come)
            durable.sync_folder(target.parent)
            about = target.lstat()
        row, verified = self.state.verified.get(come.as_posix()), self.state.verified
        verified.drop(come.as_posix())
        # A rename moves ctime and nothing else of what the row saw.
        if row is not None and (row := row._replace(ctime_ns=about.st_ctime_ns)).matches(about, row.sha256):
            verified.put(self.cache.key(Wanted(self.new, file)), row)

    def _know(self) -> None:
        """The branch stood there when it was asked for the upgrade: what was asked before says less."""
        known, ref = self.state.versions.get(self.new.name), self.new.huggingface
        if known is not None and ref is not None:
            at = known.asked_at if known.known_at is None else known.known_at
            now = replace(known, found=pin(ref), pinned=pin(ref), known_at=at)
            self.state.versions.put(self.new.name, replace(now, differing=(), unknown_since=None, problem=""))


def contents(model: Model) -> dict[str, str | None]:
    """Which bytes the model's files have, by path."""
    return {file.path: file.sha256 for file in model.files}


def _rename(path: Path, to: Path) -> None:
    with storage(to):
        path.rename(to)


def _ignore(event: Event) -> None:
    del event
