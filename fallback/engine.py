"""All files of a manifest: those that are here first, then worker threads, largest first, one deadline, one summary.

`sync` is the public entry; `fetch` is the same engine for one file at plain URLs. What only a missing
file needs is loaded when the first one is: that is most of this package, and most of what a run that
finds all files here would have to wait for. Exclusions: how one file is had is `download`'s; what is
printed is the observers'. A failing observer, metrics store or state database is said once and never
fails a run (P11).
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fallback import metrics
from fallback.errors import ManifestError, Problem, SettingsError, StorageError, UnavailableError, storage
from fallback.facts import CacheHit, RunEnded, RunStarted, Warned
from fallback.flight import Flights
from fallback.force import Force
from fallback.manifest import File, Manifest, Model
from fallback.names import MANIFEST
from fallback.results import FileFailure, FileResult, Summary
from fallback.run import running
from fallback.settings import Settings
from fallback.wanted import Wanted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from fallback.facts import Observer
    from fallback.run import Run
    from fallback.state import State

METRICS_COPY = ".metrics.json"
DAY_S = 86400.0


_FLIGHTS: Flights[Summary] = Flights()
"""The runs of this process: one for the same models in the same folder, however many ask for it."""


def load_manifest(settings: Settings) -> Manifest:
    """The manifest in force: the setting's, else the one in the models folder, else the built-in one.

    Raises:
        ManifestError: it cannot be used.
        StorageError: the models folder cannot be looked at.
    """
    local = settings.models_dir / MANIFEST
    with storage(local):
        chosen = settings.manifest or (local if local.exists() else None)
    if chosen == local and not local.is_file():  # a pipe would be waited for, for ever
        raise ManifestError(str(local), [Problem("file", "is no file; move it away")])
    if chosen is None:
        return Manifest.builtin()
    return Manifest.load(chosen, allow_missing_sha256=settings.unsafe_allow_missing_sha256)


def sync(
    manifest: Manifest | None = None,
    *,
    models: Sequence[str] = (),
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
    rehash: bool = False,
) -> Summary:
    """Make the models folder match the manifest, whatever the network does.

    Threads that ask for the same models at the same time share one run: each gets its outcome, an error
    too, and each one's observer hears it. A run that failed is over: the next call starts afresh.

    An upgrade or install that was killed while it switched is not finished by this: what it had set aside is fetched
    again. The commands and the server call `finish_upgrades` first.

    Args:
        manifest: what should be there; None for the one in force (`load_manifest`).
        models: names of models in it; none means all.
        settings: None loads them from the environment and fallback.toml.
        observer: gets every event, from worker threads, one at a time.
        stop: set it from anywhere to end the run; what has come stays as partials.
        rehash: repair: every byte that is here is read and proven anew, and whatever stands in the
            place of a file, a folder too, is set aside.

    Returns:
        a summary; a file that no source could serve is among its `failures`, and so is one that the manifest in
        force has otherwise, or no more, since it was changed meanwhile.

    Raises:
        ConfigError: the manifest, the settings or a name makes no sense; nothing was requested.
        StorageError: this machine's disk failed for at least one file; the others were still tried.
        BusyError: another thread's run was not over within `join_timeout_s`, or this call's deadline.
        StoppedError: `stop` was set.
    """
    settings = settings or Settings.load()
    force = None
    if manifest is None:
        force = Force(settings.manifest or settings.models_dir / MANIFEST, lambda: load_manifest(settings))
        manifest = load_manifest(settings)
    chosen = manifest.select(models) if models else manifest
    # With the process, for one forked during a flight inherits a record of it, and not the threads.
    key = os.getpid(), os.path.realpath(settings.models_dir), chosen, rehash, settings.offline

    def work(tell: Observer) -> Summary:
        return _synced(manifest, chosen, settings, tell, stop, force=force, rehash=rehash)

    limit_s = math.inf if settings.deadline_s is None else settings.deadline_s
    patience_s = min(settings.join_timeout_s, limit_s)
    return _FLIGHTS.together(key, work, observer=observer, stop=stop, patience_s=patience_s)


def _synced(
    manifest: Manifest,
    chosen: Manifest,
    settings: Settings,
    observer: Observer,
    stop: threading.Event | None,
    *,
    force: Force | None,
    rehash: bool,
) -> Summary:
    types = {model.name: model.type for model in chosen.models}
    with running(settings, None, observer, stop, types=types, rehash=rehash) as (run, state):
        if force is not None:
            run.promises = force.promises
        if chosen.total_bytes > settings.warn_total_bytes:
            run.emit(Warned(f"the manifest holds {chosen.total_bytes / 1e9:.1f} GB"))
        _remember(chosen, state, run.clock.now())
        wanted = [Wanted(model, file) for model, file in chosen.files()]
        summary = obtain(wanted, run, lambda missing: _located(missing, run, state))
        _after(settings, run, state, [Wanted(model, file) for model, file in manifest.files()])
    return unless_storage(summary, settings.models_dir)


def _remember(manifest: Manifest, state: State, now: float) -> None:
    """What was published is in the manifest as well: a table of CIDs that was lost has them again."""
    for model in manifest.models:
        published = model.ipfs if model.published_at else None
        if published and not published.path and state.cids.newest(model.name, model.type) is None:
            state.cids.add(published.cid, model.name, model.type, now=now)


def fetch(
    urls: Sequence[str],
    to: Path,
    *,
    sha256: str,
    size: int | None = None,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> FileResult:
    """Get one file from the first of `urls` that has it, proven against `sha256` (hex).

    Raises:
        SettingsError: a URL or the digest is none; nothing was requested.
        UnavailableError: none of them could serve it.
        StorageError: this machine's disk failed.
        StoppedError: `stop` was set.
    """
    from fallback.sources import mirrors  # noqa: PLC0415 - see the module

    settings = settings or Settings.load()
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise SettingsError("sha256: 64 hex digits are needed")
    to = Path(to).absolute()
    file = File(path=to.name, size=size, sha256=sha256.lower())
    model = Model(name="get", type="get", dir="", files=(file,))
    with running(settings, mirrors(urls), observer, stop, types={}, root=to.parent) as (
        run,
        _state,
    ):
        summary = unless_storage(obtain([Wanted(model, file)], run), to.parent)
    if summary.failures:
        raise UnavailableError(to.name, summary.failures[0].reasons)
    return summary.files[0]


def obtain(
    wanted: Sequence[Wanted],
    run: Run,
    located: Callable[[list[Wanted]], list[Wanted]] = lambda missing: missing,
) -> Summary:
    """Have every file: those that are here first, the others by worker threads, largest first.

    What could not be had is among the summary's `failures`; StoppedError if the run was told to stop.
    `located` is given those that are not here, if there are any: it says where they are.
    """
    began = time.monotonic()
    run.emit(RunStarted(len(wanted), sum(each.file.size or 0 for each in wanted)))
    results: list[FileResult | FileFailure] = []
    stopped = True
    try:
        missing = []
        rows = None if run.rehash else run.cache.rows()  # one question for all of them
        for each in wanted:
            about = None if rows is None else run.cache.vouched(each, rows)
            if about is None:
                missing.append(each)
                continue
            run.check()
            run.emit(CacheHit(each.model.name, each.file.path, about.st_size))
            results.append(FileResult(each.model.name, each.file.path, "cache", "", about.st_size))
        if missing:
            from fallback.slots import in_slots  # noqa: PLC0415 - see the module

            largest_first = sorted(located(missing), key=lambda each: -(each.file.size or 0))
            in_slots(largest_first, run, lambda each: results.append(_one(each, run)))
        stopped = False
    finally:
        places = {(each.model.name, each.file.path): place for place, each in enumerate(wanted)}
        results.sort(key=lambda result: places[result.model, result.path])
        files = tuple(result for result in results if isinstance(result, FileResult))
        failures = tuple(result for result in results if isinstance(result, FileFailure))
        summary = Summary(files, failures, time.monotonic() - began)
        ended = (len(files), len(failures), summary.bytes_received, summary.seconds, stopped)
        run.emit(RunEnded(*ended))
    return summary


def _located(missing: list[Wanted], run: Run, state: State) -> list[Wanted]:
    from fallback.downloads import located  # noqa: PLC0415 - see the module

    return located(missing, run, state)


def _one(wanted: Wanted, run: Run) -> FileResult | FileFailure:
    from fallback.download import download  # noqa: PLC0415 - see the module
    from fallback.events import FileFailed  # noqa: PLC0415

    began = time.monotonic()
    try:
        return download(wanted, run)
    except UnavailableError as error:
        failure = FileFailure(wanted.model.name, wanted.file.path, str(error), error.reasons)
    except StorageError as error:
        failure = FileFailure(wanted.model.name, wanted.file.path, str(error), storage=True)
    seconds = time.monotonic() - began
    run.emit(FileFailed(failure.model, failure.path, failure.error, 0, seconds, failure.reasons))
    return failure


def unless_storage(summary: Summary, folder: Path) -> Summary:
    """The summary; StorageError, with it, if this machine's disk failed for a file."""
    errors = [failure.error for failure in summary.failures if failure.storage]
    if errors:
        what = f"{len(errors)} file(s) could not be kept; the first: {errors[0]}"
        raise StorageError(folder, what, summary)
    return summary


def _after(settings: Settings, run: Run, state: State, wanted: Sequence[Wanted]) -> None:
    """Housekeeping that a run ends with; none of it can fail the run (P11)."""
    now = run.clock.now()
    since = now - settings.metrics_retention_h * 3600
    try:
        state.attempts.prune(since, beyond=now + DAY_S)
        metrics.write_copy(settings.models_dir / METRICS_COPY, metrics.records(state.attempts, since))
    except Exception as error:  # noqa: BLE001 - what a strange row does, too
        run.emit(Warned(f"the metrics copy was not written: {error}"))
    ages_s = settings.partial_idle_s, settings.bak_days * DAY_S
    for each in run.cache.left_over(wanted, *(time.time() - age_s for age_s in ages_s)):
        with contextlib.suppress(OSError):
            each.delete()
    state.verified.prune(lambda path: os.path.lexists(settings.models_dir / path))
    state.chunks.prune({each.file.sha256 for each in wanted if each.file.sha256})
