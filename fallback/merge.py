"""Adds models to the manifest in force, `.manifests.json` in the models folder.

Read, merge, write as one step: under a lock, and only if nobody wrote meanwhile, for a lock may fail
(P10). Who reads the file sees the old one or the new one, also after a power loss. Other models and
the keys nobody here knows are kept. Exclusions: nothing makes a manifest (`author`), and a file that
cannot be read as a manifest is refused, never repaired or replaced.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback import durable, locks
from fallback.engine import load_manifest
from fallback.errors import storage, storage_of_whole
from fallback.events import Warned
from fallback.manifest import Manifest
from fallback.names import MANIFEST
from fallback.settings import Settings

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.events import Observer
    from fallback.manifest import Model

LOCK = "manifests.lock"


def add_to_manifest(
    manifest: Manifest,
    *,
    settings: Settings | None = None,
    observer: Observer | None = None,
    begins: Manifest | None = None,
) -> Path:
    """Put the models of `manifest` into `.manifests.json`; one of the same name is replaced.

    If there is no such file yet, it begins with `begins`, or the manifest in force, so that no model is lost
    by adding one. `observer` is told what was replaced, and where a new file began.

    Returns:
        the file.

    Raises:
        ManifestError: the file there cannot be used, or the models cannot be in one folder together;
            nothing was written.
        StorageError: it cannot be written; the old one stands.
    """
    settings = settings or Settings.load()
    path = settings.models_dir / MANIFEST
    with storage_of_whole(path):
        durable.Folders(settings.models_dir).make(settings.models_dir)
        real = path.resolve()  # a link to a file kept elsewhere stays a link
        # Without it, a change that somebody else makes meanwhile is seen.
        lock = settings.state_path / "locks" / LOCK
        with locks.held(lock, timeout_s=settings.lock_timeout_s):
            while True:
                before = _mark(real)
                old = _old(settings, real, begins, new=before is None)
                text = _merged(old, manifest, path).to_json()
                if _mark(real) == before:
                    break
            durable.write_text(real, text)
    for message in _said(settings, path, old, manifest, new=before is None):
        if observer is not None:
            observer(Warned(message))
    return path


def add_undoably(
    models: tuple[Model, ...],
    before: Manifest,
    undo: contextlib.ExitStack,
    *,
    settings: Settings,
    observer: Observer | None,
) -> None:
    """As `add_to_manifest`; `undo` puts the manifest back as it was.

    If somebody else wrote it meanwhile, the models alone become what they were in `before`, with which a new one begins.

    Raises:
        ManifestError, StorageError: as that.
    """
    path = (settings.models_dir / MANIFEST).resolve()
    entered: list[bytes | None] = []
    names = {model.name for model in models}
    old = tuple(model for model in before.models if model.name in names)
    undo.callback(_put_back, path, _read(path), entered, old, settings)
    add_to_manifest(
        Manifest(models, name="of the new version"), settings=settings, observer=observer, begins=before
    )
    entered.append(_read(path))


def _put_back(
    path: Path, before: bytes | None, entered: list[bytes | None], old: tuple[Model, ...], settings: Settings
) -> None:
    now = _read(path)
    if now == before:
        return
    if now not in entered:
        add_to_manifest(Manifest(old, name="of the old version"), settings=settings)
        return
    with storage_of_whole(path):
        if before is None:
            path.unlink(missing_ok=True)
        else:
            with durable.replacing(path) as stream:
                stream.write(before)


def _read(path: Path) -> bytes | None:
    """What the file says; None if there is none."""
    with storage(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def standing(settings: Settings) -> Manifest:
    """The manifest in force; none of its models on a fresh machine, where nobody chose the built-in one.

    That is one without a `.manifests.json`, a setting `manifest`, and any file of a built-in model.
    """
    in_force, root = load_manifest(settings), settings.models_dir
    with storage(root):
        if settings.manifest is not None or (root / MANIFEST).exists():
            return in_force
        is_used = any(os.path.lexists(root / model.target(file)) for model, file in in_force.files())
    return in_force if is_used else Manifest((), name="without models")


def _old(settings: Settings, path: Path, begins: Manifest | None, *, new: bool) -> Manifest:
    if new:
        return load_manifest(settings) if begins is None else begins
    return Manifest.load(path, allow_missing_sha256=settings.unsafe_allow_missing_sha256)


def _merged(old: Manifest, manifest: Manifest, path: Path) -> Manifest:
    added = {model.name: model for model in manifest.models}
    kept = [_instead(model, added.pop(model.name, None)) for model in old.models]
    return Manifest((*kept, *added.values()), name=str(path))


def _instead(model: Model, other: Model | None) -> Model:
    """`other` in the place of `model`, with what somebody else wrote there and we do not know."""
    return model if other is None else replace(other, extra={**model.extra, **other.extra})


def _said(settings: Settings, path: Path, old: Manifest, manifest: Manifest, *, new: bool) -> Iterator[str]:
    if new and not old.models:
        yield f"{path} is new, and has what was added alone: the built-in models are not in force here"
    elif new:
        yield f"{path} is new, and begins with the {len(old.models)} model(s) of the manifest {old.name}"
    names = {model.name for model in manifest.models}
    for model in old.models:
        if model.name in names:
            yield f"model {model.name} was there, with {len(model.files)} file(s), and is replaced"
    if settings.manifest is not None and settings.manifest != path:
        yield f"the setting manifest names {settings.manifest}, which stays in force instead of {path}"


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes when somebody writes; None if there is no such file."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
