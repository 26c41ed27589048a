"""Frees space in a models folder: what is left over there, and then, if somebody wants it, without it.

`find_leftovers` only looks; `delete_leftovers` deletes what it was given, each after another look. When
partials and `.bak` files may go is `sweeping`'s to say, when a new version that nobody put in force may is
`switch`'s; here is only what a file is that no manifest names: one that neither the manifest in force nor
`.manifests.json` lists, untouched for as long as a partial may be idle, and neither hidden nor what a setting names.

Exclusions: no file that a manifest names is deleted, right or wrong; nothing outside the models folder is, and
no symbolic link is followed or deleted; nothing is requested or asked.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fallback.cache import Cache
from fallback.engine import DAY_S, load_manifest
from fallback.errors import SHOWN, StorageError, listed
from fallback.events import Warned
from fallback.manifest import File, Manifest, Model
from fallback.names import MANIFEST, OWN_SUFFIXES, UPGRADES, alias_of
from fallback.places import walked
from fallback.settings import CONFIG, Settings
from fallback.state import State, remembered
from fallback.stores import Store
from fallback.sweeping import Leftover
from fallback.waiting import INTENT, Waiting
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fallback.events import Observer


def find_leftovers(
    *,
    unnamed: bool = False,
    settings: Settings | None = None,
    observer: Observer | None = None,
    now: float | None = None,
) -> tuple[Leftover, ...]:
    """What is left over in the models folder, by path; nothing is deleted.

    Args:
        unnamed: also files that no manifest names.
        settings: None loads them from the environment and fallback.toml.
        observer: is warned of a folder that holds more than `warn_total_bytes` without all that.
        now: seconds since the epoch; None for this moment.

    Raises:
        ManifestError: the manifest in force cannot be used, so nobody knows what is wanted.
        StorageError: the models folder cannot be looked at.
    """
    settings = settings or Settings.load()
    tell = observer or (lambda _event: None)
    now = time.time() if now is None else now
    manifests = _manifests(settings)
    with remembered(settings.state_path, lambda message: tell(Warned(message))) as state:
        found = [*_swept(settings, _cache(settings, state), manifests, now)]
    found += _versions(settings, tell, now)
    files = tuple(_files(settings.models_dir))
    if unnamed:
        found += _unnamed(settings, manifests, files, now - settings.partial_idle_s)
    left = sum(about.st_size for _, about in files) - sum(each.size for each in found)
    if left > settings.warn_total_bytes:
        tell(Warned(f"{settings.models_dir} holds {left / 1e9:.1f} GB besides what is left over"))
    return tuple(sorted(found, key=lambda each: each.path))


def delete_leftovers(
    leftovers: Sequence[Leftover], *, settings: Settings | None = None, observer: Observer | None = None
) -> tuple[Leftover, ...]:
    """Delete them, and the folders that are empty then; those that went.

    What somebody has touched or taken meanwhile, or is at, stays without a word.

    Raises:
        StorageError: some could not be deleted; the others were.
    """
    settings = settings or Settings.load()
    tell = observer or (lambda _event: None)
    gone: list[Leftover] = []
    problems: list[str] = []
    if not leftovers:
        return ()
    needed = _folders(_manifests(settings))
    with State(settings.state_path, lambda message: tell(Warned(message))) as state:
        cache = _cache(settings, state)
        for each in leftovers:
            try:
                cache.inside(each.path)
                if _deleted(each, settings, cache, state):
                    gone.append(each)
            except (OSError, StorageError) as error:
                what = error.what if isinstance(error, StorageError) else error.strerror
                problems.append(f"{each.path}: {what}")
    for each in gone:
        _tidy(each.path.parent, settings.models_dir, needed)
    if problems:
        what = f"{len(problems)} of {len(leftovers)} could not be deleted:"
        raise StorageError(settings.models_dir, what + listed(problems[:SHOWN], len(problems)))
    return tuple(gone)


def _cache(settings: Settings, state: State) -> Cache:
    return Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)


def _manifests(settings: Settings) -> tuple[Manifest, ...]:
    """The one in force, and the models folder's own: a sync by either must find its files."""
    chosen, local = load_manifest(settings), settings.models_dir / MANIFEST
    if settings.manifest in {None, local} or not local.is_file():
        return (chosen,)
    return (chosen, Manifest.load(local, allow_missing_sha256=settings.unsafe_allow_missing_sha256))


def _swept(settings: Settings, cache: Cache, manifests: Sequence[Manifest], now: float) -> Iterator[Leftover]:
    wanted = [Wanted(model, file) for manifest in manifests for model, file in manifest.files()]
    # A switch that is under way, or was killed, may yet give them their names back.
    switching = any((settings.models_dir / UPGRADES).glob(f"*/{INTENT}"))
    ages_s = settings.partial_idle_s, settings.bak_days * DAY_S
    for each in cache.left_over(wanted, *(now - age_s for age_s in ages_s)):
        if each.kind != "bak" or not switching:
            yield each


def _versions(settings: Settings, tell: Observer, now: float) -> Iterator[Leftover]:
    root = settings.models_dir.resolve()
    folder = settings.models_dir / UPGRADES
    if not folder.resolve().is_relative_to(root):
        tell(Warned(f"{folder}: a symbolic link leads out of the models folder; nothing is deleted there"))
        return
    for each in sorted(folder.glob("*-*")):
        with contextlib.suppress(FileNotFoundError):  # an upgrade is at it
            found = Waiting(each).left_over(now - settings.waiting_days * DAY_S)
            if found is not None:
                yield found


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every plain file below the folder, by its path there; links are not followed."""
    for here, _, names in walked(folder):
        for name in names:
            with contextlib.suppress(OSError):
                about = os.lstat(f"{here}/{name}")
                if stat.S_ISREG(about.st_mode):
                    yield Path(here, name).relative_to(folder).as_posix(), about


def _unnamed(
    settings: Settings,
    manifests: Sequence[Manifest],
    files: Sequence[tuple[str, os.stat_result]],
    before: float,
) -> Iterator[Leftover]:
    named = {alias_of(model.target(file)) for each in manifests for model, file in each.files()}
    real = [os.path.realpath(path) for path in _ours(settings) if path is not None]
    for name, about in files:
        path, touched_at = settings.models_dir / name, max(about.st_mtime, about.st_ctime)
        if (
            touched_at < before
            and alias_of(name) not in named
            and not any(part.startswith(".") for part in name.split("/"))
            and not name.endswith(OWN_SUFFIXES)
            and not any(Path(os.path.realpath(path)).is_relative_to(each) for each in real)
        ):
            yield Leftover.of(path, "unnamed", about, touched_at)


def _ours(settings: Settings) -> tuple[Path | None, ...]:
    """What no manifest names and a sync needs, wherever it lies."""
    return (
        settings.state_path,
        settings.models_dir / CONFIG,
        settings.manifest or settings.models_dir / MANIFEST,
        settings.bundle,
        settings.ca_bundle,
        Store(settings.mirror).folder if settings.mirror else None,
    )


def _deleted(each: Leftover, settings: Settings, cache: Cache, state: State) -> bool:
    if each.kind == "version":
        return Waiting(each.path).drop_if_still(each, settings)
    if each.kind != "unnamed":
        return each.delete()
    path = each.path.relative_to(settings.models_dir).as_posix()
    file = File(path=path, size=None, sha256=None)
    wanted = Wanted(Model(name="unnamed", type="unnamed", dir="", files=(file,)), file)
    busy: list[bool] = []
    with cache.lock(wanted, timeout_s=0, waits=lambda: busy.append(True), over=lambda: False):
        if busy:
            return False  # a sync by another manifest is at it
        state.verified.drop(path)  # a row never outlives the bytes it speaks of
        return each.delete()


def _folders(manifests: Sequence[Manifest]) -> set[str]:
    """Every folder that a sync may be about to write into, by its path in the models folder."""
    targets = {PurePosixPath(model.target(file)) for each in manifests for model, file in each.files()}
    return {str(parent) for target in targets for parent in target.parents}


def _tidy(folder: Path, root: Path, needed: set[str]) -> None:
    """Delete the folder, and those above it, as far as they are empty and no manifest needs them."""
    with contextlib.suppress(OSError):
        while folder != root and folder.relative_to(root).as_posix() not in needed:
            folder.rmdir()
            folder = folder.parent
