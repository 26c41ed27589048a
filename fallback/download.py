"""One file, top to bottom: cache, plan, source, transport, verify, commit, events.

`download` is the whole life of a file in a run. What is decided is decided elsewhere: which source
and when by `plan`, what an answer means by `sources`, what bytes are worth by `verify`. Exclusions:
no threads and no second file (`engine`), no retry of its own.
"""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass, field, replace
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
from fallback.exchange import host_of
from fallback.ledger import Response
from fallback.outcome import Corrupt, Delivered, Failed, Interrupted, Malformed, Spliced, Storage
from fallback.pursuit import pursue
from fallback.sources import judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.events import Event, LayerName
    from fallback.outcome import Outcome
    from fallback.partial import Partial
    from fallback.plan import Try
    from fallback.run import Run
    from fallback.sources import Source, Wanted
    from fallback.transport import Answer

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


def download(wanted: Wanted, run: Run) -> FileResult:
    """Make the file be here and right.

    Raises:
        UnavailableError: no source could serve it; each one's reason.
        StorageError: this machine's disk.
        StoppedError: the run was told to stop.
    """
    if (hit := _here(wanted, run, mend=run.settings.offline)) is not None:
        return hit
    if run.settings.offline:
        raise UnavailableError(str(wanted), [("network", "offline is set, nothing was requested")])
    patience = run.settings.lock_timeout_s
    waits = functools.partial(_wait_for_lock, wanted, run, patience)
    with run.cache.lock(wanted, timeout_s=patience, waits=waits, over=run.over):
        run.check()
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
    return None


def _obtain(wanted: Wanted, run: Run) -> FileResult:
    """Follow the plan until the file is committed or the plan gives up."""
    sources = [source for source in run.sources if source.request(wanted) is not None]
    partial = run.cache.partial(wanted, reserve_bytes=run.settings.reserve_bytes, over=run.over)
    work = _Work(wanted, run, partial)
    try:
        if not work.is_whole():
            whom = wanted.model.name, wanted.file.path
            pursue(run, sources, work.attempt, whom=whom, what=str(wanted), sha256=wanted.file.sha256)
        return work.completed()
    finally:
        work.partial.close()


def _wait_for_lock(wanted: Wanted, run: Run, seconds: float) -> None:
    reason = "it is getting this file"
    run.emit(Waiting(wanted.model.name, wanted.file.path, "another process", seconds, reason))


@dataclass(slots=True)
class _Work:
    """The work at one file: its partial, and what the attempts have come to so far."""

    wanted: Wanted
    run: Run
    partial: Partial
    began: float = field(default_factory=time.monotonic)
    attempts: int = 0
    received: int = 0
    furthest: int = field(init=False)
    """The most bytes the partial ever held: only what goes beyond it is progress."""

    def __post_init__(self) -> None:
        self.furthest = self.partial.size

    def is_whole(self) -> bool:
        """Whether an earlier run had received all of it, and was ended before it could commit."""
        if not self.partial.adopted or self.partial.size != self.wanted.file.size:
            return False
        if not self.partial.ledger.responses:
            self.partial.ledger.add(Response(0, "cache", ""))
        try:
            self.run.cache.commit(self.wanted, self.partial)
        except VerificationError:
            self.partial.reset()
            self.furthest = 0
            return False
        return True

    def attempt(self, source: Source, step: Try, *, alone: bool) -> Outcome:
        """One request to one source, from its first event to its last; never raises `Failed`."""
        wanted, run = self.wanted, self.run
        offset = 0 if step.from_zero else self.partial.start_for(source.name)
        who = (wanted.model.name, wanted.file.path, source.layer, source.name, step.attempt)
        began, before = run.clock.now(), self.received
        self.attempts += 1
        run.emit(AttemptStarted(*who, offset))
        outcome: Outcome = Interrupted("stopped")
        try:
            outcome = self._transfer(source, offset, functools.partial(Progressed, *who), alone=alone)
        except StorageError as error:
            outcome = Storage(str(error))
            raise
        finally:
            ended = (outcome.kind, outcome.reason, self.received - before, wanted.file.size)
            run.emit(AttemptEnded(*who, *ended, run.clock.now() - began))
        run.note(source, outcome, began, wanted.file.sha256)
        return outcome

    def completed(self) -> FileResult:
        """Tell that the file has its name, and from whom the last of it came."""
        last = self.partial.ledger.responses[-1]
        result = FileResult(
            model=self.wanted.model.name,
            path=self.wanted.file.path,
            layer=last.layer,
            source=last.source,
            size=self.partial.size,
            bytes_received=self.received,
            attempts=self.attempts,
            seconds=time.monotonic() - self.began,
        )
        self.run.emit(FileCompleted(**asdict(result)))
        return result

    def _transfer(
        self, source: Source, offset: int, progressed: Callable[..., Event], *, alone: bool
    ) -> Outcome:
        """Request, receive, prove, commit; what goes wrong on the way is the outcome."""
        wanted, run, partial = self.wanted, self.run, self.partial
        request = source.request(wanted)
        assert request is not None, "sources without a name for the file are not in the plan"
        request = request.resuming(offset, *partial.ledger.etag(source.name))
        settings = run.settings
        rate = settings.last_source_min_rate_bytes_s if alone else settings.min_rate_bytes_s
        try:
            with run.transport().open(request, min_rate_bytes_s=rate, ends_in_s=run.left_s()) as answer:
                head = (
                    replace(answer.head, excerpt=answer.excerpt())
                    if answer.head.status == 500
                    else answer.head
                )
                start = judge(source, request, head, wanted.file, run.clock.now())
                host = host_of(head.url)
                partial.begin(Response(start, source.layer, source.name, head.strong_etag, host))
                if head.status != 416:  # its body is no part of the file
                    self._receive(answer, progressed)
            run.cache.commit(wanted, partial)
        except Failed as failed:
            run.check()
            return self._with_gain(failed.outcome)
        except VerificationError as error:
            return self._blamed(error)
        return Delivered("proven and committed")

    def _receive(self, answer: Answer, progressed: Callable[..., Event]) -> None:
        """The body into the partial: never more than the file has left (P3)."""
        partial, file = self.partial, self.wanted.file
        cap = self.run.settings.max_unsized_bytes + 1 if file.size is None else file.size
        limit = cap - partial.size
        began = told = time.monotonic()
        arrived = 0
        for piece in answer.pieces(limit):
            partial.write(piece)
            if file.size is None and partial.size == cap:
                raise Failed(Malformed(f"larger than max_unsized_bytes ({cap - 1})"))
            arrived += len(piece)
            self.received += len(piece)
            now = time.monotonic()
            if now - told >= PROGRESS_S or partial.size == file.size:
                told, speed = now, arrived / max(now - began, 1e-6)
                eta = None if file.size is None else (file.size - partial.size) / speed
                self.run.emit(progressed(partial.size, file.size, speed, eta))
                self.run.check()
        promised = answer.head.content_length
        short = promised is not None and arrived < min(promised, limit)
        if short or (file.sha256 is not None and file.size is not None and partial.size < file.size):
            raise Failed(Interrupted(f"the body ended after {partial.size} of {file.size or promised} bytes"))

    def _with_gain(self, outcome: Outcome) -> Outcome:
        gained = max(0, self.partial.size - self.furthest)
        self.furthest = max(self.furthest, self.partial.size)
        return replace(outcome, gained=gained) if isinstance(outcome, Interrupted) else outcome

    def _blamed(self, error: VerificationError) -> Outcome:
        """Who wrote wrong bytes; they are thrown away.

        If several responses wrote them, nobody is blamed, and from then on bytes of two sources are
        not mixed: so the next mismatch has one that is to blame.
        """
        culprit = self.partial.blamed()
        spliced = culprit is None and not isinstance(error, SizeError)
        self.partial.reset(pure=spliced or self.partial.ledger.pure)
        self.furthest = 0 if spliced else self.furthest
        if isinstance(error, SizeError):
            return Malformed(str(error))
        if spliced:
            return Spliced(f"wrong bytes from more than one response: {error}")
        return Corrupt(f"wrong bytes: {error}", error.seen if isinstance(error, DigestError) else "")
