"""One file, top to bottom: cache, plan, source, transport, verify, commit, events.

`download` is the whole life of a file in a run. What is decided is decided elsewhere: which source
and when by `plan`, what an answer means by `sources`, what bytes are worth by `verify`. Exclusions:
no threads and no second file (`engine`), no retry of its own.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.errors import (
    DigestError,
    SizeError,
    StoppedError,
    StorageError,
    UnavailableError,
    VerificationError,
)
from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    CacheHit,
    FileCompleted,
    Progressed,
    Quarantined,
    Waiting,
)
from fallback.health import Health, Pause
from fallback.outcome import Corrupt, Delivered, Failed, Interrupted, Malformed, Spliced, Storage
from fallback.plan import GiveUp, Plan, Policy, Wait
from fallback.sources import judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from fallback.cache import Cache, Partial
    from fallback.clock import Clock
    from fallback.events import Event, LayerName
    from fallback.outcome import Outcome
    from fallback.plan import Try
    from fallback.settings import Settings
    from fallback.sources import Source, Wanted
    from fallback.transport import Answer, Transport

PROGRESS_S = 0.1
"""At most so often is progress told: an observer never slows a download."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file; `bytes_received` over all attempts, `seconds` of wall time."""

    model: str
    path: str
    layer: LayerName
    source: str
    size: int
    bytes_received: int = 0
    attempts: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Run:
    """What the files of one run share. `note` folds an outcome into the health all workers see."""

    settings: Settings
    clock: Clock
    cache: Cache
    sources: tuple[Source, ...]
    transport: Callable[[], Transport]
    emit: Callable[[Event], None]
    stop: threading.Event
    health: dict[str, Health]
    note: Callable[[Source, Outcome, float, str | None, Pause], None]
    deadline: float | None = None

    def attempts_of(self, source: Source) -> int:
        """How often a file may ask this source."""
        return self.settings.gateway_attempts if source.layer == "ipfs" else self.settings.hub_attempts

    def left_s(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - self.clock.now())

    def over(self) -> bool:
        """Whether the run was told to stop, or its deadline has passed."""
        return self.stop.is_set() or self.left_s() == 0.0

    def check(self) -> None:
        """Raise StoppedError once the run was told to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped")


@dataclass(slots=True)
class _Progress:
    """What the attempts at one file have come to so far."""

    began: float = field(default_factory=time.monotonic)
    attempts: int = 0
    received: int = 0
    furthest: int = 0
    """The most bytes the partial ever held: only what goes beyond it is progress."""
    etags: dict[str, str] = field(default_factory=dict)
    """Each source's own strong ETag: it means nothing to another (facts of the gateways)."""


def download(wanted: Wanted, run: Run) -> FileResult:
    """Make the file be here and right.

    Raises:
        UnavailableError: no source could serve it; each one's reason.
        StorageError: this machine's disk.
        StoppedError: the run was told to stop.
    """
    if (hit := from_cache(wanted, run)) is not None:
        return hit
    with run.cache.lock(wanted, cancelled=run.over) as locked:
        run.check()
        hit = from_cache(wanted, run) if locked else None
        return hit if hit is not None else _obtain(wanted, run)


def from_cache(wanted: Wanted, run: Run) -> FileResult | None:
    """The file if it is here and right; what is not the file is set aside."""
    found = run.cache.lookup(wanted)
    model, path = wanted.model.name, wanted.file.path
    if found is True:
        size = run.cache.target(wanted).lstat().st_size
        run.emit(CacheHit(model, path, size))
        return FileResult(model, path, "cache", "", size)
    if isinstance(found, VerificationError):
        kept = run.cache.set_aside(wanted)
        run.emit(Quarantined(model, path, kept.name, str(found)))
    return None


def _obtain(wanted: Wanted, run: Run) -> FileResult:
    """Follow the plan until the file is committed or the plan gives up."""
    sources = {source.name: source for source in run.sources if source.request(wanted) is not None}
    if run.settings.offline:
        raise UnavailableError(str(wanted), [("network", "offline is set, nothing was requested")])
    policy = Policy(run.settings.backoff_s, run.settings.max_wait_s, run.deadline)
    plan = Plan.of({name: run.attempts_of(source) for name, source in sources.items()}, policy)
    partial, progress = run.cache.partial(wanted), _Progress()
    try:
        while True:
            run.check()
            step = plan.next(run.clock.now(), run.health, wanted.file.sha256)
            if isinstance(step, GiveUp):
                raise UnavailableError(str(wanted), step.reasons)
            if isinstance(step, Wait):
                _wait(step, wanted, run)
                continue
            source = sources[step.source]
            outcome = _attempt(wanted, source, step, partial, progress, run, alone=plan.alone)
            if isinstance(outcome, Delivered):
                return _completed(wanted, source, partial, progress, run)
            plan = plan.after(step, outcome, run.clock.now())
    finally:
        partial.close()


def _wait(step: Wait, wanted: Wanted, run: Run) -> None:
    seconds = max(0.0, step.until - run.clock.now())
    run.emit(Waiting(wanted.model.name, wanted.file.path, step.source, seconds, step.reason))
    run.stop.wait(seconds)


def _completed(wanted: Wanted, source: Source, partial: Partial, progress: _Progress, run: Run) -> FileResult:
    result = FileResult(
        model=wanted.model.name,
        path=wanted.file.path,
        layer=source.layer,
        source=source.name,
        size=partial.size,
        bytes_received=progress.received,
        attempts=progress.attempts,
        seconds=time.monotonic() - progress.began,
    )
    told = (result.layer, result.source, result.size, result.bytes_received, result.attempts, result.seconds)
    run.emit(FileCompleted(result.model, result.path, *told))
    return result


def _attempt(
    wanted: Wanted, source: Source, step: Try, partial: Partial, progress: _Progress, run: Run, *, alone: bool
) -> Outcome:
    """One request to one source, from its first event to its last; never raises `Failed`."""
    offset = 0 if step.from_zero else partial.size
    who = (wanted.model.name, wanted.file.path, source.layer, source.name, step.attempt)
    began, before = run.clock.now(), progress.received
    progress.attempts += 1
    run.emit(AttemptStarted(*who, offset))
    outcome: Outcome = Interrupted("stopped")
    try:
        outcome = _transfer(wanted, source, offset, partial, progress, run, who, alone=alone)
    except StorageError as error:
        outcome = Storage(str(error))
        raise
    finally:
        now = run.clock.now()
        received = progress.received - before
        ended = AttemptEnded(*who, outcome.kind, outcome.reason, received, wanted.file.size, now - began)
        run.emit(ended)
    pause = Pause(run.settings.backoff_s, run.settings.max_wait_s, run.attempts_of(source), random.random())  # noqa: S311 - jitter
    run.note(source, outcome, began, wanted.file.sha256, pause)
    return outcome


def _transfer(
    wanted: Wanted,
    source: Source,
    offset: int,
    partial: Partial,
    progress: _Progress,
    run: Run,
    who: tuple[str, str, LayerName, str, int],
    *,
    alone: bool,
) -> Outcome:
    """Request, receive, prove, commit; what goes wrong on the way is the outcome."""
    settings = run.settings
    request = source.request(wanted)
    assert request is not None, "sources without a name for the file are not in the plan"
    request = request.resuming(offset, progress.etags.get(source.name))
    rate = settings.last_source_min_rate_bytes_s if alone else settings.min_rate_bytes_s
    try:
        with run.transport().open(request, min_rate_bytes_s=rate, ends_in_s=run.left_s()) as answer:
            head = (
                replace(answer.head, excerpt=answer.excerpt()) if answer.head.status == 500 else answer.head
            )
            start = judge(source, request, head, wanted.file, run.clock.now())
            partial.begin(start)
            if head.strong_etag:
                progress.etags[source.name] = head.strong_etag
            _receive(answer, wanted, partial, progress, run, who)
        run.cache.commit(wanted, partial, layer=source.layer, source=source.name)
    except Failed as failed:
        run.check()
        return _with_gain(failed.outcome, partial, progress)
    except VerificationError as error:
        outcome = _blamed(error, partial)
        partial.begin(0)
        partial.responses = 0
        return outcome
    return Delivered("proven and committed")


def _receive(
    answer: Answer,
    wanted: Wanted,
    partial: Partial,
    progress: _Progress,
    run: Run,
    who: tuple[str, str, LayerName, str, int],
) -> None:
    """The body into the partial: never more than the file has left (P3)."""
    size = wanted.file.size
    limit = run.settings.max_unsized_bytes if size is None else size - partial.size
    began = told = time.monotonic()
    arrived = 0
    for piece in answer.pieces(limit):
        partial.write(piece)
        arrived += len(piece)
        progress.received += len(piece)
        now = time.monotonic()
        if now - told >= PROGRESS_S or partial.size == size:
            told, speed = now, arrived / max(now - began, 1e-6)
            eta = None if size is None else (size - partial.size) / speed
            run.emit(Progressed(*who, partial.size, size, speed, eta))
            run.check()
    promised = answer.head.content_length
    short = promised is not None and arrived < min(promised, limit)
    if short or (wanted.file.sha256 is not None and size is not None and partial.size < size):
        raise Failed(Interrupted(f"the body ended after {partial.size} of {size or promised} bytes"))


def _with_gain(outcome: Outcome, partial: Partial, progress: _Progress) -> Outcome:
    gained = max(0, partial.size - progress.furthest)
    progress.furthest = max(progress.furthest, partial.size)
    return replace(outcome, gained=gained) if isinstance(outcome, Interrupted) else outcome


def _blamed(error: VerificationError, partial: Partial) -> Outcome:
    """Who wrote wrong bytes: the one response that wrote them all, or nobody can say."""
    if isinstance(error, SizeError):
        return Malformed(str(error))
    if partial.responses > 1:
        return Spliced(f"wrong bytes from more than one response: {error}")
    return Corrupt(f"wrong bytes: {error}", error.seen if isinstance(error, DigestError) else "")
