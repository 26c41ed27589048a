"""Gets a newer version of a model from HuggingFace: what would change, and then the change.

`find_upgrade` asks what the branch stands at and compares, file by file; nothing is written. `apply_upgrade`
fetches what is other into a folder where it waits, proves it, and only then switches. A file whose bytes are
the same stays where it is, with its CID and chunks.

Which files: those the model has, as far as they are still there. What is new there belongs to it if the
model had all there was at the commit it is pinned to, or if `include` says so; the rest is named.

Exclusions: nothing is asked of a person (`cli`), and whether there is a newer version is asked daily
elsewhere (`revalidate`). The order of the change, and what undoes it, is `switch`'s.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fallback import folder as folders
from fallback.author import files_on_hub
from fallback.cache import Cache
from fallback.engine import load_manifest, obtain, sync, unless_storage
from fallback.errors import ConfigError, UnavailableError, storage
from fallback.events import Warned
from fallback.hub_api import HubApi
from fallback.manifest import Manifest
from fallback.names import MANIFEST
from fallback.run import running
from fallback.settings import Settings
from fallback.sources import HuggingFace, in_order
from fallback.switch import contents, finish_upgrades, switch
from fallback.version import branch_of, pin
from fallback.waiting import Waiting
from fallback.wanted import Wanted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fallback.events import Observer
    from fallback.hub_answers import Entry
    from fallback.manifest import File, HubRef, Model
    from fallback.results import Summary
    from fallback.run import Run


@dataclass(frozen=True, slots=True)
class Change:
    """One file that is other: bytes before (None: it is added) and after (None: it is removed)."""

    path: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A model as it is and as it would be; `left_out` are files there that would not be taken."""

    old: Model
    new: Model
    left_out: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether the manifest's entry would be another."""
        return self.old != self.new

    @property
    def commits(self) -> tuple[str, str]:
        """What the model is pinned to (or follows), and what it would be pinned to."""
        old, new = self.old.huggingface, self.new.huggingface
        assert old is not None, "an upgrade is of a repository"
        assert new is not None, "and to one"
        return old.revision, new.revision

    @property
    def changes(self) -> tuple[Change, ...]:
        """Files that are added, removed or changed, by path."""
        old, new = ({file.path: file for file in model.files} for model in (self.old, self.new))
        return tuple(
            Change(path, old[path].size if path in old else None, new[path].size if path in new else None)
            for path in sorted(old.keys() | new.keys())
            if path not in old or path not in new or old[path].sha256 != new[path].sha256
        )

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON; sizes in bytes."""
        before, after = self.commits
        told = [{"path": each.path, "before": each.before, "after": each.after} for each in self.changes]
        return {
            "model": self.old.name,
            "from": before,
            "to": after,
            "files": told,
            "left_out": list(self.left_out),
        }


def find_upgrade(
    model: str,
    *,
    include: Sequence[str] = (),
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Upgrade:
    """What an upgrade of a model of the manifest in force to the commit of its branch would change.

    Args:
        model: its name.
        include: globs of paths below the model's folder there: whatever matches one is to be in it, too.
        settings: None loads them from the environment and fallback.toml.
        observer: gets a `Waiting` for each pause.
        stop: set it from anywhere to end this.

    Raises:
        ConfigError: there is no such model, it has no repository, another manifest than the models
            folder's own is in force, or none of its files is there; nothing was changed.
        UnavailableError: HuggingFace does not serve it; with its reason.
        StoppedError: `stop` was set.
    """
    settings = settings or Settings.load()
    finish_upgrades(settings, observer)
    manifest, old, ref = _in_force(model, settings)
    hub = HuggingFace(settings.hf_endpoint, settings.hf_token)
    with running(settings, (hub,), observer, stop, types={}) as (run, _state):
        api = HubApi(run, hub)
        branch = branch_of(ref)
        commit = api.commit(replace(ref, revision=branch))
        if commit == pin(ref) and not include:
            return Upgrade(old, old)
        there = replace(ref, revision=commit, branch=None if branch == "main" else branch)
        chosen, left_out = _chosen(old, api.tree(there), _before(ref, api, run), include)
        new = _as_it_would_be(old, there, chosen, api, run)
    Manifest((*(each for each in manifest.models if each.name != model), new), name=f"with {model} upgraded")
    return Upgrade(old, new, left_out)


def apply_upgrade(
    upgrade: Upgrade,
    *,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Fetch and prove what `upgrade` needs, then put it in force; the old version is, until then.

    Called again after it was stopped, killed or failed, it goes on where it was.

    Returns:
        what a sync of the new version came to. If a file could not be had, it is among the
        `failures`, and the old version is in force with all its files.

    Raises:
        ConfigError: the model is not as it was when `upgrade` was found; nothing was changed.
        StorageError: this machine's disk failed; the old version is in force.
        StoppedError: `stop` was set; the same.
    """
    settings = settings or Settings.load()
    new, waiting = upgrade.new, Waiting.of(settings, upgrade.new)
    with waiting.locked(settings) as is_ours:
        _, old, _ = _in_force(new.name, settings)
        if old == new:
            return sync(models=[new.name], settings=settings, observer=observer, stop=stop)
        if old != upgrade.old:
            raise ConfigError(f"model {new.name} was changed meanwhile; look again what an upgrade would do")
        fetched = _fetched(upgrade, waiting, settings, observer, stop)
        if not fetched.ok:
            return unless_storage(fetched, settings.models_dir)
        kept = switch(settings, (new,), waiting, observer)
        if is_ours:  # otherwise another upgrade may be at one of them
            waiting.drop_others()
        summary = sync(models=[new.name], settings=settings, observer=observer, stop=stop)
        if summary.ok:
            _delete(kept)
        return summary


def _in_force(name: str, settings: Settings) -> tuple[Manifest, Model, HubRef]:
    """The manifest, its model of that name and the model's repository, if an upgrade can change them."""
    own = settings.models_dir / MANIFEST
    if settings.manifest not in {None, own}:
        raise ConfigError(
            f"the setting manifest names {settings.manifest}, and an upgrade writes {own}: change that manifest, or unset it"
        )
    manifest = load_manifest(settings)
    model = manifest.model(name)
    if model.huggingface is None:
        raise ConfigError(
            f"model {name} names no repository on HuggingFace: there is nothing to upgrade it from"
        )
    return manifest, model, model.huggingface


def _before(ref: HubRef, api: HubApi, run: Run) -> dict[str, Entry]:
    """What there was at the commit that the model is pinned to, by path; nothing if that cannot be known."""
    if pin(ref) is None:
        return {}
    try:
        return {entry.path: entry for entry in api.tree(ref)}
    except UnavailableError as error:
        run.check()
        reasons = "; ".join(reason for _, reason in error.reasons)
        run.emit(Warned(f"what {ref.repo} was at {ref.revision} is not known: {reasons}"))
        return {}


def _chosen(
    old: Model, entries: Sequence[Entry], before: dict[str, Entry], include: Sequence[str]
) -> tuple[list[tuple[Entry, File | None]], tuple[str, ...]]:
    """The files the model would have, each with the one it has if the bytes are the same; and those it would not."""
    has = {file.path: file for file in old.files}
    has_all = bool(before) and before.keys() <= has.keys()
    matches: Callable[[str], bool] = folders.included(include) if include else (lambda _path: False)
    chosen, left_out = [], []
    for entry in entries:
        is_new = entry.path not in before
        if entry.path in has or matches(entry.path) or (has_all and is_new):
            chosen.append((entry, _same(entry, has.get(entry.path), before.get(entry.path))))
        elif is_new:
            left_out.append(entry.path)
    if not chosen:
        raise ConfigError(f"model {old.name}: none of its files is there any more; nothing was changed")
    return chosen, tuple(left_out)


def _same(entry: Entry, file: File | None, before: Entry | None) -> File | None:
    """`file` if it is the one that `entry` speaks of, as far as a list can tell."""
    if file is None or file.sha256 is None:
        return None
    if entry.sha256 is not None:
        return file if (entry.sha256, entry.size) == (file.sha256, file.size) else None
    return file if before is not None and (before.git_id, before.size) == (entry.git_id, file.size) else None


def _as_it_would_be(
    old: Model, there: HubRef, chosen: Sequence[tuple[Entry, File | None]], api: HubApi, run: Run
) -> Model:
    model = replace(old, huggingface=there)
    with contextlib.closing(
        files_on_hub(model, [entry for entry, same in chosen if same is None], api, run)
    ) as others:
        new = tuple(same if same is not None else next(others) for _, same in chosen)
    had = {(file.path, file.sha256): file for file in old.files}
    model = replace(model, files=tuple(had.get((file.path, file.sha256), file) for file in new))
    # What was published is the old version: its CID leads to other bytes.
    return model if contents(model) == contents(old) else replace(model, ipfs=None, published_at=None)


def _fetched(
    upgrade: Upgrade,
    waiting: Waiting,
    settings: Settings,
    observer: Observer | None,
    stop: threading.Event | None,
) -> Summary:
    """Have every file that is not in its place already wait, proven."""
    new = upgrade.new
    with storage(waiting.files):
        waiting.files.mkdir(parents=True, exist_ok=True)
    types = {new.name: new.type}
    with running(settings, in_order(settings), observer, stop, types=types, root=waiting.files) as (
        run,
        state,
    ):
        place = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        had = contents(upgrade.old)
        missing = []
        for file in new.files:
            wanted, is_same = Wanted(new, file), had.get(file.path) == file.sha256
            # Of a file that changes, the old one is not read: it would only prove not to be the new one.
            found = place.lookup(wanted, over=run.over) if is_same else None
            if not place.known(wanted) and (found is None or found.wrong is not None):
                missing.append(file)
        return obtain([Wanted(new, file) for file in missing], run)


def _delete(kept: Sequence[Path]) -> None:
    for path in kept:
        with contextlib.suppress(OSError):
            path.unlink()
