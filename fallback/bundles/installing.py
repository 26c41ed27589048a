"""Puts the models of a bundle into the models folder: all of them or none, and nothing before all is proven.

1. The manifest is read: the bundle's own, or the one that is given, which wins (`--manifest`). A model that the
   manifest in force has in another version is refused, unless it is to be replaced.
2. Every file is proven as it comes, and waits below the models folder (`staging`).
3. Only when all of them wait: what stands in their places becomes `.bak`, new models are entered in
   `.manifests.json`, and the files get their names, by renames alone.

So a final name is absent or right by the manifest in force, at every instant (P1). What fails is undone in
reverse. A process that is killed leaves what was proven: the same command once more goes on from there; one that
is killed in step 3 is finished by whatever runs next (`finish_upgrades`). Exclusions: a bundle's manifest is
believed as far as the caller believes the bundle, and no network is used.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fallback import durable
from fallback.bundles.contents import UNREADABLE, of_car, of_tar
from fallback.bundles.input import opened
from fallback.bundles.placing import Placing
from fallback.bundles.staging import Staging, waiting_for
from fallback.cache import Cache
from fallback.engine import load_manifest
from fallback.errors import BundleError, ConfigError, UnknownModelError, storage
from fallback.events import RunEnded, RunStarted
from fallback.manifest import Manifest
from fallback.merge import standing
from fallback.names import MANIFEST
from fallback.results import Summary
from fallback.run import running
from fallback.settings import Settings
from fallback.switch import contents, finish_upgrades

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from fallback.bundles.contents import Held
    from fallback.events import Observer
    from fallback.manifest import Model
    from fallback.results import FileResult
    from fallback.run import Run
    from fallback.state import State
    from fallback.waiting import Waiting


def install_bundle(
    bundle: Path | BinaryIO,
    *,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
    replace_models: bool = False,
) -> Summary:
    """Have the models of a bundle in the models folder, all of them or none.

    Args:
        bundle: a tar as `create_bundle` makes it, that compressed with zstd, or a CAR; a path or a stream.
        settings: None loads them from the environment and fallback.toml. Their `manifest`, if set, wins over the
            bundle's own, and stays in force: `.manifests.json` is not touched then.
        observer: gets every event.
        stop: set it from anywhere to end this; what was proven is kept for the next time.
        replace_models: models may become another version than the manifest in force has.

    Returns:
        a summary: every file of its models, from the bundle or from the cache.

    Raises:
        BundleError: it is damaged, cut off, or holds what it may not. Nothing of it is visible.
        ConfigError: the manifest cannot be used, or has another version of a model; nothing was changed.
        UnavailableError: the deadline has passed; nothing of it is visible.
        StorageError: this machine's disk failed; nothing of it is visible.
        StoppedError: `stop` was set; the same.
    """
    settings = settings or Settings.load()
    name = bundle.name if isinstance(bundle, Path) else "stdin"
    finish_upgrades(settings, observer)
    with _told(name), opened(bundle, name) as (form, source):
        if form == "car":
            manifest = load_manifest(settings)
            return _Installing(settings, name, manifest, ()).done(of_car(source, manifest), observer, stop)
        own, held = of_tar(source)
        manifest = own if settings.manifest is None else _given(own, settings)
        entries = (
            () if settings.manifest is not None else _entries(own, settings, replace_models=replace_models)
        )
        return _Installing(settings, name, manifest, entries).done(_after(manifest, held), observer, stop)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever is wrong with the bundle says of which one."""
    try:
        yield
    except (*UNREADABLE, BundleError) as error:
        raise BundleError(f"{name}: {error}") from error


def _after(manifest: Manifest, held: Iterator[Held]) -> Iterator[Model | Held]:
    yield from manifest.models
    yield from held


def _given(own: Manifest, settings: Settings) -> Manifest:
    """The models of the bundle as the manifest that was given has them; BundleError if the bundle has them otherwise."""
    given = load_manifest(settings)
    try:
        chosen = given.select(model.name for model in own.models)
    except UnknownModelError as error:
        raise BundleError(str(error)) from None
    promised = {model.target(file): (file.size, file.sha256) for model, file in chosen.files()}
    for model, file in own.files():
        if promised.get(model.target(file)) != (file.size, file.sha256):
            raise BundleError(
                f"{model.target(file)} is not the file that the manifest {settings.manifest} has there"
            )
    return chosen


def _entries(own: Manifest, settings: Settings, *, replace_models: bool) -> tuple[Model, ...]:
    """What is to be entered in `.manifests.json`: models that it lacks, or, if they may be replaced, has otherwise.

    Raises:
        ConfigError: one is another version there; or they cannot be in one folder together.
    """
    in_force = {model.name: model for model in standing(settings).models}
    entries = tuple(each for each in own.models if not _is_same(in_force.get(each.name), each))
    other = [each for each in entries if each.name in in_force]
    if other and not replace_models:
        raise ConfigError(
            f"{len(other)} model(s) of the bundle are of another version than the manifest in force has, the first is"
            f" {other[0].name}: `--replace` puts the bundle's in force; the files that were there become .bak"
        )
    kept = {**in_force, **{each.name: each for each in entries}}
    Manifest(tuple(kept.values()), name=f"{settings.models_dir / MANIFEST}, with the models of the bundle")
    return entries


def _is_same(model: Model | None, other: Model) -> bool:
    return model is not None and (model.dir, contents(model)) == (other.dir, contents(other))


@dataclass(frozen=True, slots=True)
class _Installing:
    """One bundle's models on their way. `entries`: what the manifest in force lacks of them."""

    settings: Settings
    name: str
    manifest: Manifest
    entries: tuple[Model, ...]

    def done(
        self, held: Iterator[Model | Held], observer: Observer | None, stop: threading.Event | None
    ) -> Summary:
        waiting = waiting_for(self.manifest, self.settings)
        types = {model.name: model.type for model in self.manifest.models}
        with waiting.locked(self.settings) as is_ours:
            with storage(waiting.files):
                durable.make_folder(waiting.files)
            with running(self.settings, (), observer, stop, types=types, root=waiting.files) as (run, state):
                summary = self._run(held, run, state, waiting)
            waiting.drop()
            if is_ours:  # otherwise another install may be at one of them
                waiting.drop_others()
        return summary

    def _run(self, held: Iterator[Model | Held], run: Run, state: State, waiting: Waiting) -> Summary:
        began = time.monotonic()
        run.emit(RunStarted(sum(1 for _ in self.manifest.files()), self.manifest.total_bytes))
        place = Cache(self.settings.models_dir, self.settings.state_path, state.verified, state.chunks)
        staging = Staging(run, place, self.name)
        files: tuple[FileResult, ...] = ()
        try:
            staging.take_all(held)
            files = Placing(self.settings, run, state, staging, waiting, self.entries).done()
        finally:
            seconds, came = time.monotonic() - began, sum(each.bytes_received for each in staging.staged)
            run.emit(RunEnded(len(files), 0 if files else 1, came, seconds, stopped=run.stop.is_set()))
        return Summary(files, (), seconds)
