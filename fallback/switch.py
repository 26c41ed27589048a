"""The moment at which models become other versions of themselves: files that wait, proven, take their places.

New versions, of an upgrade or a bundle, are had in a folder of their own below the models folder and proven there,
file by file, while the old ones stay in force. Only when all of it is there:

1. the lock of every file that is touched is held: no sync fetches or renames one meanwhile;
2. what is about to be done is written down beside the files;
3. the old files that make room are renamed to `.bak`;
4. the models' entries in `.manifests.json` become the new ones;
5. the waiting files get their final names, and their rows go with them.

So a final name is absent or exactly right by the manifest in force, at every instant (P1). Whatever fails is
undone in reverse, and the old versions are in force again. A process that is killed in between leaves what
it wrote down, and the next run finishes it (`finish_upgrades`), without a request. Where no entry changes (an
install by a manifest that is given) nothing is written down: what has its name is right, the rest still waits.

Exclusions: nothing is requested, compared or asked here (`upgrade`, `bundles`).
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fallback import durable, events
from fallback.cache import Cache, Found
from fallback.clock import Clock
from fallback.engine import load_manifest
from fallback.errors import ConfigError, StorageError, storage
from fallback.manifest import Manifest
from fallback.merge import add_undoably, standing
from fallback.names import MANIFEST, UPGRADES
from fallback.state import State
from fallback.version import pin
from fallback.waiting import Waiting
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from fallback.events import Event, Observer
    from fallback.manifest import Model
    from fallback.settings import Settings


class Kept(NamedTuple):
    """A file that made room, and what it is called now."""

    wanted: Wanted
    path: Path


def finish_upgrades(settings: Settings, observer: Observer | None = None) -> None:
    """Finish every switch that a process was killed in, of an upgrade or an install, without a request.

    One that cannot be finished, because somebody changed what it is about, is told of and dropped. With another
    manifest in force than the folder's own they are left for a run by that one.

    Raises:
        StorageError: this machine's disk failed; what was in force still is.
    """
    tell = observer or _ignore
    if settings.manifest not in {None, settings.models_dir / MANIFEST}:
        return
    with storage(settings.models_dir):
        folders = [Waiting(each) for each in sorted((settings.models_dir / UPGRADES).glob("*"))]
        begun = [each for each in folders if each.intent.exists()]
        for waiting in folders:
            waiting.drop_if_over(settings)
    for waiting in begun:
        _finish(settings, waiting, tell)


def _finish(settings: Settings, waiting: Waiting, tell: Observer) -> None:
    with waiting.locked(settings):
        if not waiting.intent.exists():
            return  # it was not interrupted: another process was at it
        what = "install" if waiting.is_of_bundle else "upgrade"
        try:
            models = Manifest.load(waiting.intent).models
            names = ", ".join(model.name for model in models)
            tell(events.Warned(f"an {what} of {names} was interrupted, and is finished now"))
            switch(settings, models, waiting, tell)
        except ConfigError as error:
            tell(events.Warned(f"an interrupted {what} cannot be finished and is dropped: {error}"))
            waiting.drop()


def switch(
    settings: Settings, models: tuple[Model, ...], waiting: Waiting, observer: Observer | None = None
) -> tuple[Path, ...]:
    """Put the new versions in force, with the files that wait; what the old ones were renamed to.

    Raises:
        ConfigError: the manifest in force has no such model to upgrade, or cannot take it; nothing was changed.
        StorageError: this machine's disk failed; the old versions are in force.
    """
    tell = observer or _ignore
    if not waiting.is_of_bundle:
        load_manifest(settings).select(model.name for model in models)
    with State(settings.state_path, lambda message: tell(events.Warned(message))) as state:
        cache = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        kept = Switch(settings, cache, state, waiting, models, models, tell).done()
        for model in models if not waiting.is_of_bundle else ():
            _know(model, state)
    if (
        waiting.is_empty()
    ):  # a bundle may have had files of models that were in force: they wait for its next install
        waiting.drop()
    return tuple(each.path for each in kept)


@dataclass(frozen=True, slots=True)
class Switch:
    """`models` have files that wait; `entries` are those of them that the manifest in force gets.

    `over` ends waiting for locks, and `check` raises what is to be raised then.
    """

    settings: Settings
    cache: Cache
    state: State
    waiting: Waiting
    models: tuple[Model, ...]
    entries: tuple[Model, ...]
    tell: Observer
    over: Callable[[], bool] = lambda: False
    check: Callable[[], None] = lambda: None

    def done(self) -> tuple[Kept, ...]:
        """Do it; the files that made room.

        Raises:
            StorageError: this machine's disk failed; everything is as it was.
            ManifestError: the manifest in force was changed meanwhile, and cannot take the models; the same.
        """
        in_force = standing(self.settings) if self.waiting.is_of_bundle else load_manifest(self.settings)
        names = {model.name for model in self.entries}
        old = tuple(model for model in in_force.models if model.name in names)
        touched = [*self._arriving(), *self._replaced(old)]
        for wanted in touched:
            self.cache.free(wanted)
        with self._locked(touched), contextlib.ExitStack() as undo:
            arriving = list(self._arriving())
            self._note(old, undo)
            leaving = self._by_key([*arriving, *self._replaced(old)])
            kept = [each for wanted in leaving if (each := self._set_aside(wanted, undo)) is not None]
            self._make_last(leaving)
            self._enter(in_force, undo)
            for wanted in arriving:
                self._name(wanted, undo)
            self._make_last(arriving)
            undo.pop_all()
            for wanted in arriving:
                self._vouch(wanted)
            with storage(self.waiting.intent):
                self.waiting.intent.unlink(missing_ok=True)
        return tuple(kept)

    def _arriving(self) -> Iterator[Wanted]:
        for model in self.models:
            for wanted in (Wanted(model, file) for file in model.files):
                if self.waiting.place(wanted).is_file() and not self.cache.known(wanted):
                    yield wanted

    def _replaced(self, old: Iterable[Model]) -> Iterator[Wanted]:
        """Files of old versions which the new ones do not have as they are, unless the new file is there already."""
        new = {model.target(file): Wanted(model, file) for model in self.entries for file in model.files}
        for model in old:
            for file in model.files:
                by = new.get(model.target(file))
                if by is None or (by.file.sha256 != file.sha256 and not self.cache.known(by)):
                    yield Wanted(model, file)

    def _by_key(self, touched: Iterable[Wanted]) -> list[Wanted]:
        """Each file once, in one order."""
        return [wanted for _, wanted in sorted({self.cache.key(each): each for each in touched}.items())]

    @contextlib.contextmanager
    def _locked(self, touched: list[Wanted]) -> Iterator[None]:
        """Each lock once, for a second one of our own would be waited for, and in one order: two switches do not
        wait for each other. All of them together are waited for no longer than one is.
        """
        ends_at = time.monotonic() + self.settings.lock_timeout_s
        with contextlib.ExitStack() as held:
            for wanted in self._by_key(touched):
                left = max(0.0, ends_at - time.monotonic())
                waits = functools.partial(self._tell_wait, wanted, left)
                held.enter_context(self.cache.lock(wanted, timeout_s=left, waits=waits, over=self.over))
                self.check()
            yield

    def _tell_wait(self, wanted: Wanted, seconds: float) -> None:
        reason = "it is getting this file"
        self.tell(events.Waiting(wanted.model.name, wanted.file.path, "another process", seconds, reason))

    def _note(self, old: tuple[Model, ...], undo: contextlib.ExitStack) -> None:
        if not self.entries:
            return
        intent = self.waiting.intent
        with storage(intent):
            durable.make_folder(intent.parent)
            undo.callback(intent.unlink, missing_ok=True)
            durable.write_text(intent, Manifest(self.entries, name=str(intent)).to_json())
        had, now = {model.name: contents(model) for model in old}, Clock().now()
        undo.callback(self.state.cids.reinstate, now)
        for model in self.entries:
            if had.get(model.name) != contents(model):
                self.state.cids.supersede(model.name, model.type, now=now)

    def _set_aside(self, wanted: Wanted, undo: contextlib.ExitStack) -> Kept | None:
        target = self.cache.target(wanted)
        with storage(target):
            try:
                about = target.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        kept = self.cache.set_aside(wanted, Found(about))
        if kept is None:
            raise StorageError(target, "somebody else is writing it; try again")
        undo.callback(_rename, kept, target)
        return Kept(wanted, kept)

    def _enter(self, in_force: Manifest, undo: contextlib.ExitStack) -> None:
        if self.entries:
            tell = self.tell if self.waiting.is_of_bundle else None
            add_undoably(self.entries, in_force, undo, settings=self.settings, observer=tell)

    def _name(self, wanted: Wanted, undo: contextlib.ExitStack) -> None:
        target, come = self.cache.target(wanted), self.waiting.place(wanted)
        with storage(target):
            durable.make_folder(target.parent)
            come.rename(target)
        undo.callback(_rename, target, come)

    def _make_last(self, renamed: Iterable[Wanted]) -> None:
        """The renames outlive a power loss before what follows from them is written (P2)."""
        for folder in {self.cache.target(wanted).parent for wanted in renamed}:
            if folder.is_dir():
                with storage(folder):
                    durable.sync_folder(folder)

    def _vouch(self, wanted: Wanted) -> None:
        verified, waited = self.state.verified, self.waiting.place(wanted).as_posix()
        row = verified.get(waited)
        verified.drop(waited)
        with contextlib.suppress(OSError):
            about = self.cache.target(wanted).lstat()
            # A rename moves ctime and nothing else of what the row saw.
            if row is not None and (row := row._replace(ctime_ns=about.st_ctime_ns)).matches(
                about, row.sha256
            ):
                verified.put(self.cache.key(wanted), row)


def contents(model: Model) -> dict[str, str | None]:
    """Which bytes the model's files have, by path."""
    return {file.path: file.sha256 for file in model.files}


def _know(model: Model, state: State) -> None:
    """The branch stood there when it was asked for the upgrade: what was asked before says less."""
    known, ref = state.versions.get(model.name), model.huggingface
    if known is not None and ref is not None:
        at = known.asked_at if known.known_at is None else known.known_at
        now = replace(known, found=pin(ref), pinned=pin(ref), known_at=at)
        state.versions.put(model.name, replace(now, differing=(), unknown_since=None, problem=""))


def _rename(path: Path, to: Path) -> None:
    with storage(to):
        path.rename(to)


def _ignore(event: Event) -> None:
    del event
