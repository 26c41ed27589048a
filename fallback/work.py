"""The work at one file that is not here: what each attempt does, and who is to blame when bytes are wrong.

An attempt is one request to one source, from its head to what its bytes are worth. Bytes go into a
partial until it is as long as the file; if it is not the file then, and its chunks are known, only
the wrong ones are asked for (`mending`), else it starts anew. Exclusions: who is asked, and how often
(`plan`), and whether the file is here already (`download`).
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.errors import DigestError, SizeError, StorageError, VerificationError
from fallback.events import AttemptEnded, AttemptStarted, Blamed, FileCompleted, Progressed
from fallback.exchange import host_of
from fallback.judging import judge
from fallback.ledger import Response
from fallback.mending import Mending
from fallback.outcome import (
    Corrupt,
    Delivered,
    Failed,
    Interrupted,
    Malformed,
    NotHere,
    PartDelivered,
    Spliced,
    Storage,
)
from fallback.proofs import chunks_of
from fallback.sources import IpfsGateway
from fallback.trustless import car_bytes, file_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.chance import Try
    from fallback.chunks import Chunks
    from fallback.events import Event
    from fallback.exchange import Request
    from fallback.outcome import Outcome
    from fallback.partial import Partial
    from fallback.run import Run
    from fallback.sources import Source, Wanted
    from fallback.transport import Answer

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
    mending: Mending | None = None
    """What is wrong in a partial that is as long as the file; None while it is not, or if nobody knows."""
    contradicted: bool = False
    """Every chunk was right, and the file was not: its chunks prove nothing."""
    furthest: int = field(init=False)
    """The most right bytes there ever were: only what goes beyond them is progress."""

    def __post_init__(self) -> None:
        self.furthest = self.partial.size

    @property
    def size(self) -> int:
        """Bytes that are here, and not known to be wrong."""
        return self.mending.size if self.mending else self.partial.size

    def is_whole(self) -> bool:
        """Whether an earlier run had received all of it, and was ended before it could commit."""
        if not self.partial.inherited or self.partial.size != self.wanted.file.size:
            return False
        if not self.partial.ledger.responses:
            self.partial.ledger.add(Response(0, "cache", ""))
        try:
            self.run.cache.commit(self.wanted, self.partial)
        except VerificationError as error:
            with contextlib.suppress(Failed):
                if not self._mend(self._wrong()):
                    self._start_anew(error)
            return False
        return True

    def attempt(self, source: Source, step: Try, *, alone: bool) -> Outcome:
        """One request to one source, from its first event to its last; never raises `Failed`."""
        wanted, run = self.wanted, self.run
        part = self._part(source, from_zero=step.from_zero)
        who = (wanted.model.name, wanted.file.path, source.layer, source.name, step.attempt)
        began, before = run.clock.now(), self.received
        self.attempts += 1
        run.emit(AttemptStarted(*who, self.size if self.mending else part[0]))
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

    def _part(self, source: Source, *, from_zero: bool) -> tuple[int, int | None]:
        """The bytes (start, stop) to ask `source` for; None: to the end."""
        if from_zero:
            return 0, None
        return self.mending.stretch if self.mending else (self.partial.start_for(source.name), None)

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
                limit = self._begin(response, request.stop)
                if head.status != 416:  # its body is no part of the file
                    self._receive(answer, request, limit, progressed)
            return self._concluded()
        except Failed as failed:
            run.check()
            if isinstance(failed.outcome, Corrupt):  # a block, before it was written
                self._blame(source, 1)
            return self._with_gain(failed.outcome)
        except VerificationError as error:
            if request.by_blocks and self.partial.ledger.only() == source.name:
                return self._not_so_named(error)
            try:
                return self._with_gain(self._disproved(source, error))
            except Failed as failed:
                return failed.outcome

    def _begin(self, response: Response, stop: int | None) -> int:
        """A body begins; how many bytes of it are of use: never more than the file has left (P3)."""
        if self.mending is not None:
            return self.mending.begin(response, stop)
        self.partial.begin(response)
        size = self.wanted.file.size
        cap = self.run.settings.max_unsized_bytes + 1 if size is None else size
        return cap - self.partial.size

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
        file, into = self.wanted.file, self.mending or self.partial
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
            if now - told >= PROGRESS_S or self.size == file.size:
                told, speed = now, arrived / max(now - began, 1e-6)
                eta = None if file.size is None else (file.size - self.size) / speed
                self.run.emit(progressed(self.size, file.size, speed, eta))
                self.run.check()
        promised = None if request.by_blocks else answer.head.content_length
        short = promised is not None and arrived < min(promised, limit)
        if short or (file.sha256 is not None and file.size is not None and arrived < limit):
            raise Failed(Interrupted(f"the body ended after {self.size} of {file.size or promised} bytes"))

    def _concluded(self) -> Outcome:
        """What was asked for has come: the file is committed, or the next part of it is due."""
        if self.mending is not None:
            if not self.mending.is_done:
                return PartDelivered(f"{self.size} of {self.wanted.file.size} bytes are right")
            if not self.partial.rehash(self.run.over):
                raise Failed(Interrupted("the deadline has passed"))
        self.run.cache.commit(self.wanted, self.partial)
        return Delivered("proven and committed")

    def _with_gain(self, outcome: Outcome) -> Outcome:
        gained = max(0, self.size - self.furthest)
        self.furthest = max(self.furthest, self.size)
        return replace(outcome, gained=gained) if isinstance(outcome, Interrupted | Corrupt) else outcome

    def _disproved(self, source: Source, error: VerificationError) -> Outcome:
        """Bytes were proven wrong: who sent them, and what is to be asked for again."""
        seen = error.seen if isinstance(error, DigestError) else ""
        if self.mending is not None and not self.mending.is_done:
            self._blame(source, 1)
            return Corrupt(f"wrong bytes again: {error}", seen, mendable=True)
        self.contradicted = self.contradicted or self.mending is not None
        wrong = self._wrong()
        if not self._mend(wrong):
            outcome = self._start_anew(error)
            if isinstance(outcome, Corrupt) and self.wanted.file.chunks:
                self._blame(source, 1)  # the first chunk, before there were others
            return outcome
        senders = Counter(
            sender
            for chunk in wrong
            if chunk.start >= self.partial.inherited
            and (sender := self.partial.ledger.writer(chunk.start, chunk.stop)) is not None
        )
        for each in self.run.sources:
            if each.name in senders:
                self._blame(each, senders[each.name], earlier=each is not source)
        reason = f"{len(wrong)} wrong chunks, sent by {', '.join(senders) or 'nobody knows whom'}: {error}"
        others = tuple(name for name in senders if name != source.name)
        if source.name in senders:
            return Corrupt(reason, seen, others, mendable=True)
        return Spliced(reason, others, mendable=True)

    def _not_so_named(self, error: VerificationError) -> Outcome:
        """Blocks that prove their CID, and not the file: whoever named the CID was wrong, and not the gateway."""
        self.partial.reset()
        self.mending, self.furthest = None, 0
        return NotHere(f"the bytes of this CID are not those of the manifest: {error}")

    def _blame(self, sender: Source, chunks: int, *, earlier: bool = False) -> None:
        """Tell who sent wrong bytes; of one that is not being asked just now, it is noted here."""
        wanted, run = self.wanted, self.run
        run.emit(Blamed(wanted.model.name, wanted.file.path, sender.layer, sender.name, chunks, earlier))
        if earlier:
            outcome = Corrupt(f"{chunks} chunks it had sent are wrong")
            run.note(sender, outcome, run.clock.now(), wanted.file.sha256)

    def _wrong(self) -> Chunks:
        """Which chunks of the whole partial are wrong; none if nobody knows."""
        if self.contradicted or self.partial.size != self.wanted.file.size:
            return ()
        wrong = self.partial.wrong(chunks_of(self.wanted, self.run), self.run.over)
        if self.run.over():  # not all was looked at, and nobody is to be blamed for that
            raise Failed(Interrupted("the run ended while it was looked at which bytes are wrong"))
        return wrong

    def _mend(self, wrong: Chunks) -> bool:
        if wrong:
            self.mending = Mending(self.partial, wrong)
            self.furthest = self.mending.size
        return bool(wrong)

    def _start_anew(self, error: VerificationError) -> Outcome:
        """Nobody knows which bytes are wrong: all are thrown away.

        If several responses wrote them, nobody is blamed, and from then on bytes of two sources are
        not mixed: so the next mismatch has one that is to blame.
        """
        culprit = self.partial.blamed()
        spliced = culprit is None and not isinstance(error, SizeError)
        self.mending = None
        self.partial.reset(pure=spliced or self.partial.ledger.pure)
        self.furthest = 0 if spliced else self.furthest
        if isinstance(error, SizeError):
            return Malformed(str(error))
        if spliced:
            return Spliced(f"wrong bytes from more than one response: {error}")
        return Corrupt(f"wrong bytes: {error}", error.seen if isinstance(error, DigestError) else "")
