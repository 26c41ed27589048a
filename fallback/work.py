"""The work at one file that is not here: what each attempt does.

An attempt is one request to one source, from its head to what its bytes are worth. Exclusions: what they
are worth, and who is to blame for wrong ones (`holding`), who is asked, and how often (`plan`), and
whether the file is here already (`download`).
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.errors import StorageError, VerificationError
from fallback.events import AttemptEnded, AttemptStarted, FileCompleted, Progressed
from fallback.exchange import host_of
from fallback.holding import Holding
from fallback.judging import judge
from fallback.ledger import Response
from fallback.outcome import (
    Corrupt,
    Failed,
    Interrupted,
    Malformed,
    Storage,
)
from fallback.sources import IpfsGateway
from fallback.trustless import car_bytes, file_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.chance import Try
    from fallback.events import Event
    from fallback.exchange import Request
    from fallback.outcome import Outcome
    from fallback.partial import Partial
    from fallback.run import Run
    from fallback.sources import Source
    from fallback.transport import Answer
    from fallback.wanted import Wanted

PROGRESS_S = 0.1
"""At most so often is progress told: an observer never slows a download."""


@dataclass(slots=True)
class Work:
    """The work at one file: its partial, and what the attempts have come to so far."""

    wanted: Wanted
    run: Run
    partial: Partial
    began: float = field(default_factory=time.monotonic)
    attempts: int = 0
    received: int = 0
    holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        self.holding = Holding(self.wanted, self.run, self.partial)

    def is_whole(self) -> bool:
        """Whether an earlier run had received all of it, and was ended before it could commit; it is committed now."""
        return self.holding.is_whole()

    def attempt(self, source: Source, step: Try, *, alone: bool) -> Outcome:
        """One request to one source, from its first event to its last; never raises `Failed`."""
        wanted, run = self.wanted, self.run
        part = self.holding.part(source, from_zero=step.from_zero)
        who = (wanted.model.name, wanted.file.path, source.layer, source.name, step.attempt)
        began, before = run.clock.now(), self.received
        self.attempts += 1
        run.emit(AttemptStarted(*who, self.holding.size if self.holding.mending else part[0]))
        outcome: Outcome = Interrupted("stopped")
        try:
            request = self._request(source, part, as_blocks=step.as_blocks)
            outcome = self._transfer(source, request, functools.partial(Progressed, *who), alone=alone)
        except StorageError as error:
            outcome = Storage(str(error))
            raise
        finally:
            ended = (outcome.kind, outcome.reason, self.received - before, wanted.file.size)
            run.emit(AttemptEnded(*who, *ended, run.clock.now() - began))
        run.note(source, outcome, began, wanted.file.sha256)
        return outcome

    def completed(self) -> FileCompleted:
        """The file has its name; `source` is from whom the last of it came."""
        last = self.partial.ledger.responses[-1]
        return FileCompleted(
            model=self.wanted.model.name,
            path=self.wanted.file.path,
            layer=last.layer,
            source=last.source,
            size=self.partial.size,
            bytes_received=self.received,
            attempts=self.attempts,
            seconds=time.monotonic() - self.began,
        )

    def _request(self, source: Source, part: tuple[int, int | None], *, as_blocks: bool) -> Request:
        if as_blocks and isinstance(source, IpfsGateway):
            return source.car(self.wanted, *part)
        request = source.request(self.wanted)
        assert request is not None, "sources without a name for the file are not in the plan"
        return request.resuming(part[0], *self.partial.ledger.etag(source.name), stop=part[1])

    def _transfer(
        self, source: Source, request: Request, progressed: Callable[..., Event], *, alone: bool
    ) -> Outcome:
        """Send, receive, prove, commit; what goes wrong on the way is the outcome."""
        wanted, run = self.wanted, self.run
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
                response = Response(start, source.layer, source.name, head.strong_etag, host)
                limit = self.holding.begin(response, request.stop)
                if head.status != 416:  # its body is no part of the file
                    self._receive(answer, request, limit, progressed)
            return self.holding.concluded()
        except Failed as failed:
            run.check()
            if isinstance(failed.outcome, Corrupt):  # a block, before it was written
                self.holding.blame(source, 1)
            return self.holding.with_gain(failed.outcome)
        except VerificationError as error:
            if request.by_blocks and self.partial.ledger.only() == source.name:
                return self.holding.not_so_named(error)
            try:
                return self.holding.with_gain(self.holding.disproved(source, error))
            except Failed as failed:
                return failed.outcome

    def _pieces(self, answer: Answer, request: Request, limit: int) -> Iterator[bytes]:
        """The bytes of the file in the body, as they come."""
        if not request.by_blocks:
            return answer.pieces(limit)
        path = self.wanted.ipfs_path or ""
        return file_bytes(answer, path, request.offset, request.stop, car_bytes(limit))

    def _receive(
        self, answer: Answer, request: Request, limit: int, progressed: Callable[..., Event]
    ) -> None:
        """The body into the partial."""
        file, into = self.wanted.file, self.holding.into
        began = told = time.monotonic()
        arrived = 0
        for piece in self._pieces(answer, request, limit):
            arrived += len(piece)
            self.received += len(piece)
            into.write(piece)
            if file.size is None and arrived >= limit:
                raise Failed(
                    Malformed(f"larger than max_unsized_bytes ({self.run.settings.max_unsized_bytes})")
                )
            now = time.monotonic()
            if now - told >= PROGRESS_S or self.holding.size == file.size:
                told, speed = now, arrived / max(now - began, 1e-6)
                eta = None if file.size is None else (file.size - self.holding.size) / speed
                self.run.emit(progressed(self.holding.size, file.size, speed, eta))
                self.run.check()
        promised = None if request.by_blocks else answer.head.content_length
        short = promised is not None and arrived < min(promised, limit)
        if short or (file.sha256 is not None and file.size is not None and arrived < limit):
            raise Failed(
                Interrupted(f"the body ended after {self.holding.size} of {file.size or promised} bytes")
            )
