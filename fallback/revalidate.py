"""Asks HuggingFace whether there is a newer version of each model: stale while revalidate.

Of a model that is due, the commit of its branch is asked for, and of each of its files what it is at that
commit (HEAD, with `If-None-Match`); the answers are kept in the state database. No file and no manifest
is changed by that, whatever the answer is (`upgrade` does, when a person says so), and a model that
nobody could be asked about is served as before.

Exclusions: what an answer makes of a model is decided in `version`, whom to ask again and when to give
up by `plan`. Nothing here sleeps between two questions: whoever runs for long calls `check` now and then.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback import locks
from fallback.engine import load_manifest
from fallback.errors import UnavailableError
from fallback.hub_answers import SHA256_OF_LFS
from fallback.hub_api import HubApi
from fallback.run import running
from fallback.settings import Settings
from fallback.sources import HuggingFace
from fallback.state import remembered
from fallback.state.versions import Known
from fallback.version import branch_of, differs, is_due, next_due, pin, question, version_of
from fallback.wanted import Wanted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from fallback.events import Observer
    from fallback.manifest import HubRef, Manifest, Model
    from fallback.run import Run
    from fallback.state import State
    from fallback.state.etags import Tagged
    from fallback.version import Version

LOCK = "revalidate.lock"
DAY_S = 86400.0


def check_versions(
    models: Sequence[str] = (),
    *,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
    anyway: bool = False,
    now: float | None = None,
) -> tuple[Version, ...]:
    """Ask HuggingFace about models of the manifest in force that are due; what is known of all that were named.

    Args:
        models: their names; none means all.
        settings: None loads them from the environment and fallback.toml.
        observer: gets a `Waiting` for each pause, and what goes wrong with the state database.
        stop: set it from anywhere to end this.
        anyway: ask also about those that were asked about not long ago.
        now: seconds since the epoch, for what is due and for what is written down; None: by the clock.

    Returns:
        one version each, in the manifest's order. That HuggingFace could not be asked is one's `problem`.

    Raises:
        ConfigError: the manifest, the settings or a name makes no sense; nothing was requested.
        StoppedError: `stop` was set; what was answered before is kept.
    """
    settings = settings or Settings.load()
    chosen = _chosen(models, settings)
    hub = HuggingFace(settings.hf_endpoint, settings.hf_token)
    with running(settings, (hub,), observer, stop, types={}) as (run, state):
        lock = settings.state_path / "locks" / LOCK
        # Whoever waited for another process finds its answers, and asks nothing.
        with locks.held(lock, timeout_s=settings.lock_timeout_s, over=run.over):
            moment = run.clock.now() if now is None else now
            versions = []
            for model in chosen.models:
                run.check()
                known = state.versions.get(model.name)
                if is_due(model, known, settings, moment) or (anyway and model.huggingface is not None):
                    known = _asked(model, known, run, state, moment)
                versions.append(version_of(model, known, settings, moment))
            state.etags.prune(moment - max(settings.stale_days, 1) * DAY_S)
    return tuple(versions)


def due_models(settings: Settings, warn: Callable[[str], None], now: float | None = None) -> tuple[str, ...]:
    """The models of the manifest in force that HuggingFace may be asked about `now`; nothing is requested.

    Raises:
        ManifestError: the manifest cannot be used.
    """
    moment = time.time() if now is None else now
    with remembered(settings.state_path, warn) as state:
        models = load_manifest(settings).models
        return tuple(
            each.name for each in models if is_due(each, state.versions.get(each.name), settings, moment)
        )


def known_versions(
    settings: Settings, warn: Callable[[str], None], models: Sequence[str] = (), now: float | None = None
) -> tuple[Version, ...]:
    """What is known of models' versions, in the manifest's order; nothing is requested.

    Raises:
        ConfigError: the manifest cannot be used, or has no such model.
    """
    moment = time.time() if now is None else now
    with remembered(settings.state_path, warn) as state:
        chosen = _chosen(models, settings).models
        return tuple(version_of(each, state.versions.get(each.name), settings, moment) for each in chosen)


def _chosen(models: Sequence[str], settings: Settings) -> Manifest:
    manifest = load_manifest(settings)
    return manifest.select(models) if models else manifest


def _asked(model: Model, before: Known | None, run: Run, state: State, now: float) -> Known:
    """What is known once HuggingFace was asked, which is written down before anybody is told."""
    ref = model.huggingface
    assert ref is not None, "who has no repository is not asked about"
    asked = question(ref, run.settings)
    jitter = random.random()  # noqa: S311 - spreads machines, keeps no secret
    known = Known(asked, now, next_due(run.settings, now, jitter))
    hub = HuggingFace(run.settings.hf_endpoint, run.settings.hf_token)
    api = HubApi(run, hub, state.etags)
    try:
        found = api.commit(replace(ref, revision=branch_of(ref)))
    except UnavailableError as error:
        known = _unanswered(known, before, _reason(error))
    else:
        known = replace(known, found=found, known_at=now, pinned=pin(ref))
        try:
            known = replace(known, differing=tuple(_differing(model, ref, found, api, hub)))
        except UnavailableError as error:
            known = replace(known, problem=_reason(error))
    state.versions.put(model.name, known)
    return known


def _unanswered(known: Known, before: Known | None, reason: str) -> Known:
    """Nobody said anything: what was said before stays known, as of then."""
    if before is None or before.question != known.question:
        return replace(known, unknown_since=known.asked_at, problem=reason)
    return replace(
        before,
        asked_at=known.asked_at,
        due_at=known.due_at,
        unknown_since=known.asked_at if before.unknown_since is None else before.unknown_since,
        problem=reason,
    )


def _differing(model: Model, ref: HubRef, found: str, api: HubApi, hub: HuggingFace) -> Iterator[str]:
    """The model's files that are others at the commit `found`, or not there."""
    there, here = (replace(model, huggingface=replace(ref, revision=each)) for each in (found, ref.revision))
    has_moved = pin(ref) not in {None, found}
    for file in model.files:
        pinned = _said_before(Wanted(here, file), api, hub) if has_moved else None
        told = api.says_of(Wanted(there, file), pinned)
        if has_moved and pinned is None and told is not None and not told.said.startswith(SHA256_OF_LFS):
            pinned = api.says_of(Wanted(here, file))
        if differs(file, told.said if told else None, pinned.said if pinned else None):
            yield file.path


def _said_before(wanted: Wanted, api: HubApi, hub: HuggingFace) -> Tagged | None:
    request = hub.request(wanted)
    return api.said_before(request.url) if request else None


def _reason(error: UnavailableError) -> str:
    return "; ".join(f"{source}: {reason}" for source, reason in error.reasons)
