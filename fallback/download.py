"""One file, top to bottom: cache, plan, source, transport, verify, commit, events.

`download` is the whole life of a file in a run. What is decided is decided elsewhere: which source
and when by `plan`, what an answer means by `sources`, what bytes are worth by `verify`. Exclusions:
no threads and no second file (`engine`), no retry of its own.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback.errors import StoppedError, UnavailableError
from fallback.events import CacheHit, Quarantined, Waiting
from fallback.pursuit import pursue
from fallback.results import FileResult
from fallback.work import Work

if TYPE_CHECKING:
    from fallback.run import Run
    from fallback.wanted import Wanted


def download(wanted: Wanted, run: Run) -> FileResult:
    """Make the file be here and right.

    Raises:
        UnavailableError: no source could serve it; each one's reason. Or the manifest was changed meanwhile.
        StorageError: this machine's disk.
        StoppedError: the run was told to stop.
    """
    run.check_promised(wanted)
    if (hit := _here(wanted, run, mend=run.settings.offline)) is not None:
        return hit
    if run.settings.offline and not any(source.request(wanted) for source in run.sources):
        offline = ("network", "offline is set, nothing was requested")
        raise UnavailableError(str(wanted), [offline, *run.useless])
    patience = run.settings.lock_timeout_s
    waits = functools.partial(_wait_for_lock, wanted, run, patience)
    with run.cache.lock(wanted, timeout_s=patience, waits=waits, over=run.over):
        run.check()
        run.check_promised(wanted)
        hit = _here(wanted, run, mend=True)  # another process may have got it meanwhile
        return hit if hit is not None else _obtain(wanted, run)


def _here(wanted: Wanted, run: Run, *, mend: bool = False) -> FileResult | None:
    """The file if it is here and right. `mend`: what is not the file is set aside; only under the file's lock,
    for another process may be about to put the right one there.
    """
    model, path = wanted.model.name, wanted.file.path
    try:
        found = run.cache.lookup(wanted, trust=not run.rehash, over=run.over)
    except StoppedError:
        run.check()
        raise UnavailableError(str(wanted), [("cache", "the deadline has passed")]) from None
    if found is None:
        return None
    if found.wrong is None:
        run.emit(CacheHit(model, path, found.about.st_size))
        return FileResult(model, path, "cache", "", found.about.st_size)
    if not mend:
        return None
    kept = run.cache.set_aside(wanted, found)
    if kept is None:
        return _here(wanted, run, mend=True)  # it has just changed
    run.emit(Quarantined(model, path, kept.name, str(found.wrong)))
    run.cache.salvage(wanted, kept)
    return None


def _obtain(wanted: Wanted, run: Run) -> FileResult:
    """Follow the plan until the file is committed or the plan gives up."""
    wanted = replace(wanted, file=run.cache.listed(wanted.file))
    sources = [source for source in run.sources if source.request(wanted) is not None]
    partial = run.cache.partial(wanted, reserve_bytes=run.settings.reserve_bytes, over=run.over)
    work = Work(wanted, run, partial)
    try:
        if not work.is_whole():
            whom = wanted.model.name, wanted.file.path
            pursue(
                run,
                sources,
                work.attempt,
                whom=whom,
                what=str(wanted),
                sha256=wanted.file.sha256,
                useless=run.useless,
            )
        completed = work.completed()
        run.emit(completed)
        return FileResult(
            completed.model,
            completed.path,
            completed.layer,
            completed.source,
            completed.size,
            completed.bytes_received,
            completed.attempts,
            completed.seconds,
        )
    finally:
        work.partial.close()


def _wait_for_lock(wanted: Wanted, run: Run, seconds: float) -> None:
    reason = "it is getting this file"
    run.emit(Waiting(wanted.model.name, wanted.file.path, "another process", seconds, reason))
