"""The work at one file that is not here: what each attempt does.

An attempt is one request to one source, from its head to what its bytes are worth. Exclusions: what they
are worth, and who is to blame for wrong ones (`holding`), who is asked, and how often (`plan`), and
whether the file is here already (`download`).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback import chunks
from fallback.convoy import Convoy
from fallback.errors import StorageError, UnavailableError, VerificationError
from fallback.events import AttemptEnded, AttemptStarted, FileCompleted, Progressed
from fallback.exchange import host_of
from fallback.holding import Holding
from fallback.judging import judge
from fallback.ledger import Response
from fallback.manifest import CHUNK_BYTES
from fallback.member import Crew, Member, gives_ranges
from fallback.outcome import (
    Corrupt,
    Failed,
    Interrupted,
    Malformed,
    Outrun,
    Storage,
)
from fallback.pace import Pace
from fallback.race import Begun, Leg, Race
from fallback.segments import HELD
from fallback.sources import IpfsGateway

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from fallback.answer import Answer
    from fallback.chance import Try
    from fallback.exchange import Request
    from fallback.facts import LayerName
    from fallback.outcome import Outcome
    from fallback.partial import Partial
    from fallback.pursuit import Course
    from fallback.run import Run
    from fallback.sources import Source
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
    asked: list[Leg] = field(default_factory=list)
    """Whose outcome is not known yet."""
    is_helped: bool = True
    """Several connections may be tried; not once all of them broke off before they had brought much."""
    holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        self.holding = Holding(self.wanted, self.run, self.partial)

    def is_whole(self) -> bool:
        """Whether an earlier run had received all of it, and was ended before it could commit; it is committed now."""
        return self.holding.is_whole()

    def attempt(self, source: Source, step: Try, course: Course[Source]) -> tuple[Try, Outcome]:
        """One request to one source, and to others beside it while it keeps us waiting; never raises `Failed`.

        Each is told of from its first event to its last.
        """
        cut: Outcome = Interrupted("stopped")

        def entered(source: Source, step: Try, start: int | None = None) -> Leg:
            return self._entered(source, step, alone=course.alone, start=start)

        def lost(leg: Leg, outcome: Outcome) -> None:
            if isinstance(outcome, Corrupt):  # the first chunk that it brought
                self.holding.blame(leg.source, 1)
            self._ended(leg, outcome)
            course.came_to(leg.step, outcome)

        crew = Crew(self._ask, self._part, course.helper, entered, lost, self._is_right, self._begin)
        try:
            with Race(self.run.askers(), self._ask, self.run.settings.patience_s) as race:
                leg, came = race.winner(source, step, entered=entered, beside=course.beside, lost=lost)
                outcome = self._received(leg, came, crew) if isinstance(came, Begun) else self._failed(came)
            leg = self.asked[0]  # whoever was left of several
            for other in self.asked[1:]:
                lost(other, Outrun("it was shut: what another one had sent was wrong"))
            self._ended(leg, outcome)
        except StorageError as error:
            cut = Storage(str(error))
            raise
        except UnavailableError as error:  # the manifest was changed, which is no source's doing
            cut = Interrupted("; ".join(reason for _, reason in error.reasons))
            raise
        finally:
            while self.asked:
                self._tell(self.asked.pop(0), cut)
        return leg.step, outcome

    def _entered(self, source: Source, step: Try, *, alone: bool, start: int | None = None) -> Leg:
        """A source is about to be asked; for segments from `start` on, or for what is due."""
        part = self.holding.part(source, from_zero=step.from_zero) if start is None else (start, None)
        request = self._request(source, part, as_blocks=step.as_blocks)
        if request.stream is None:
            self.run.transport()  # its library is loaded before the source's time begins
        leg = Leg(source, step, request, self.run.clock.now(), alone)
        self.attempts += 1
        self.asked.append(leg)
        self.run.emit(AttemptStarted(*self._who(leg), self.holding.size if self.holding.mending else part[0]))
        return leg

    def _ended(self, leg: Leg, outcome: Outcome) -> None:
        """What a source came to is told, and known to all files from now on."""
        self.asked.remove(leg)
        self._tell(leg, outcome)
        self.run.note(leg.source, outcome, leg.began, self.wanted.file.sha256)

    def _tell(self, leg: Leg, outcome: Outcome) -> None:
        told = (outcome.kind, outcome.reason, leg.received, self.wanted.file.size)
        self.run.emit(AttemptEnded(*self._who(leg), *told, self.run.clock.now() - leg.began))

    def _who(self, leg: Leg) -> tuple[str, str, LayerName, str, int]:
        model, path = self.wanted.model.name, self.wanted.file.path
        return model, path, leg.source.layer, leg.source.name, leg.step.attempt

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

    def _ask(self, leg: Leg) -> Begun:
        """Send the request and wait for the body to begin. In a thread of its own: nothing of ours is touched.

        Raises:
            Failed: it does not.
        """
        run, settings = self.run, self.run.settings
        rate = settings.last_source_min_rate_bytes_s if leg.alone else settings.min_rate_bytes_s
        answer = run.network().open(
            leg.request, min_rate_bytes_s=rate, ends_in_s=run.left_s(), is_shut=lambda: leg.is_over
        )
        with contextlib.ExitStack() as kept:
            kept.enter_context(answer)
            head = answer.head
            head = replace(head, excerpt=answer.excerpt()) if head.status == 500 else head
            heard = time.monotonic()
            start = judge(leg.source, leg.request, head, self.wanted.file, run.clock.now())
            if head.status != 416:  # its body is no part of the file
                answer.begin()
            kept.pop_all()
        return Begun(answer, start, heard)

    def _failed(self, outcome: Outcome) -> Outcome:
        """What it came to before its body began."""
        self.run.check()
        return self.holding.with_gain(outcome)

    def _received(self, leg: Leg, begun: Begun, crew: Crew) -> Outcome:
        """Receive, prove, commit; what goes wrong on the way is the outcome."""
        source, request, head = leg.source, leg.request, begun.answer.head
        try:
            with begun.answer:
                host = host_of(head.url)
                response = Response(begun.start, source.layer, source.name, head.strong_etag, host)
                limit = self.holding.begin(response, request.stop)
                if head.status != 416:
                    with contextlib.closing(self._stream(leg, begun, limit, crew)) as stream:
                        self._receive(stream, leg, begun, limit)
            return self.holding.concluded()
        except Failed as failed:
            self.run.check()
            if isinstance(failed.outcome, Corrupt):  # a block, or a leg's first chunk, before it was written
                self.holding.blame(self.asked[0].source, 1)
            return self.holding.with_gain(failed.outcome)
        except VerificationError as error:
            if request.by_blocks and self.partial.ledger.only() == source.name:
                return self.holding.not_so_named(error)
            try:
                return self.holding.with_gain(self.holding.disproved(self.asked[0].source, error))
            except Failed as failed:
                return failed.outcome

    def _pieces(self, answer: Answer, request: Request, limit: int) -> Iterator[bytes]:
        """The bytes of the file in the body, as they come."""
        if not request.by_blocks:
            return answer.pieces(limit)
        from fallback.trustless import car_bytes, file_bytes  # noqa: PLC0415 - few gateways give blocks alone

        path = self.wanted.ipfs_path or ""
        return file_bytes(answer, path, request.offset, request.stop, car_bytes(limit))

    def _stream(self, leg: Leg, begun: Begun, limit: int, crew: Crew) -> Generator[tuple[Leg, bytes]]:
        """The bytes of the file in their order, and whom they are from: of several legs once one alone is too slow."""
        network, came = self.run.network(), 0
        pace = Pace(self.run.settings.segments_from_bytes) if self._may_be_helped(leg, begun) else None
        for piece in self._pieces(begun.answer, leg.request, limit):
            came += len(piece)
            network.arrived(len(piece))
            yield leg, piece
            if pace is None or not pace.is_slow(time.monotonic(), came, network.received, limit - came):
                continue
            if network.in_segments.acquire(blocking=False):
                etag = begun.answer.head.strong_etag
                lead = Member(leg, begun, came, etag, has_begun=True, is_proven=True)
                span = begun.start + came, begun.start + limit
                with contextlib.ExitStack() as kept:
                    kept.callback(network.in_segments.release)
                    yield from self._together(kept.enter_context(Convoy(self.run, crew, pace, span, lead)))
                return

    def _together(self, convoy: Convoy) -> Iterator[tuple[Leg, bytes]]:
        """What several connections bring; where all broke off before they had brought much, it is not tried again."""
        before = self.received
        try:
            yield from convoy.pieces()
        except Failed:
            self.is_helped = self.received - before >= HELD  # as much as may have been thrown away
            raise

    def _may_be_helped(self, leg: Leg, begun: Begun) -> bool:
        """Whether others may bring parts of the file: they are proven, may be mixed, and are had by ranges."""
        file, plain = self.wanted.file, leg.request.stream is None and not leg.request.by_blocks
        proven = file.sha256 is not None and file.size is not None and self.holding.mending is None
        mixed = not (leg.step.from_zero or leg.step.last_resort or self.partial.ledger.pure)
        several = self.is_helped and self.run.settings.connections > 1
        return proven and mixed and plain and several and gives_ranges(begun)

    def _part(self, source: Source, start: int, stop: int | None) -> Request:
        return self._request(source, (start, stop), as_blocks=False)

    def _is_right(self, start: int, data: bytes) -> bool:
        """Whether `data` are the chunk that begins at byte `start`; nobody knows where the manifest has no chunks."""
        listed = chunks.of_file(self.wanted.file)
        return not listed or listed[start // CHUNK_BYTES].is_of(data)

    def _begin(self, response: Response) -> None:
        """Another response goes on where the last one ended."""
        self.holding.begin(response, None)

    def _receive(self, stream: Iterable[tuple[Leg, bytes]], leg: Leg, begun: Begun, limit: int) -> None:
        """The body into the partial."""
        request, file, into = leg.request, self.wanted.file, self.holding.into
        answer, told = begun.answer, begun.since
        arrived = 0
        for sender, piece in stream:
            arrived += len(piece)
            sender.received += len(piece)
            self.received += len(piece)
            into.write(piece)
            if file.size is None and arrived >= limit:
                raise Failed(
                    Malformed(f"larger than max_unsized_bytes ({self.run.settings.max_unsized_bytes})")
                )
            now = time.monotonic()
            if now - told >= PROGRESS_S or self.holding.size == file.size:
                told, speed = now, arrived / max(now - begun.since, 1e-6)
                eta = None if file.size is None else (file.size - self.holding.size) / speed
                self.run.emit(Progressed(*self._who(sender), self.holding.size, file.size, speed, eta))
                self.run.check()
        promised = None if request.by_blocks else answer.head.content_length
        short = promised is not None and arrived < min(promised, limit)
        if short or (file.sha256 is not None and file.size is not None and arrived < limit):
            raise Failed(
                Interrupted(f"the body ended after {self.holding.size} of {file.size or promised} bytes")
            )
