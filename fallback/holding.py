"""What is here of one file, how much of it is right, and who is to blame when bytes are wrong.

Bytes go into a partial until it is as long as the file; if it is not the file then, and its chunks are
known, only the wrong ones are asked for (`mending`), else it starts anew. Whoever sent wrong bytes is
named as soon as they can be told from the others'; until then nobody is. Exclusions: nothing is requested
here but a list of chunks (`work`), and nobody is asked again or spared (`plan`, `health`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fallback.errors import DigestError, SizeError, VerificationError
from fallback.events import Blamed
from fallback.ledger import Response
from fallback.outcome import (
    Corrupt,
    Delivered,
    Failed,
    Interrupted,
    Malformed,
    NotHere,
    PartDelivered,
    Spliced,
)

if TYPE_CHECKING:
    from fallback.chunks import Chunks
    from fallback.mending import Mending
    from fallback.outcome import Outcome
    from fallback.partial import Partial
    from fallback.run import Run
    from fallback.sources import Source
    from fallback.wanted import Wanted


@dataclass(slots=True)
class Holding:
    """One file's partial, and what is known to be wrong in it."""

    wanted: Wanted
    run: Run
    partial: Partial
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
        """Whether an earlier run had received all of it, and was ended before it could commit; it is committed now."""
        if not self.partial.inherited or self.partial.size != self.wanted.file.size:
            return False
        if not self.partial.ledger.responses:
            self.partial.ledger.add(Response(0, "cache", ""))
        try:
            self._commit()
        except VerificationError as error:
            with contextlib.suppress(Failed):
                if not self._mend(self._wrong()):
                    self._start_anew(error)
            return False
        return True

    def part(self, source: Source, *, from_zero: bool) -> tuple[int, int | None]:
        """The bytes (start, stop) to ask `source` for; None: to the end."""
        if from_zero:
            return 0, None
        return self.mending.stretch if self.mending else (self.partial.start_for(source.name), None)

    @property
    def into(self) -> Mending | Partial:
        """What takes the bytes that come."""
        return self.mending or self.partial

    def begin(self, response: Response, stop: int | None) -> int:
        """A body begins; how many bytes of it are of use: never more than the file has left (P3)."""
        if self.mending is not None:
            return self.mending.begin(response, stop)
        self.partial.begin(response)
        size = self.wanted.file.size
        cap = self.run.settings.max_unsized_bytes + 1 if size is None else size
        return cap - self.partial.size

    def concluded(self) -> Outcome:
        """What was asked for has come: the file is committed, or the next part of it is due."""
        if self.mending is not None:
            if not self.mending.is_done:
                return PartDelivered(f"{self.size} of {self.wanted.file.size} bytes are right")
            if not self.partial.rehash(self.run.over):
                raise Failed(Interrupted("the deadline has passed"))
        self._commit()
        return Delivered("proven and committed")

    def _commit(self) -> None:
        self.run.check_promised(self.wanted)
        self.partial.proof.finish()
        self.run.network().slots.leave()  # from here on the disk is what is waited for
        self.run.cache.commit(self.wanted, self.partial)

    def with_gain(self, outcome: Outcome) -> Outcome:
        """`outcome` with what came right beyond all that was right before, if it is one that counts that."""
        gained = max(0, self.size - self.furthest)
        self.furthest = max(self.furthest, self.size)
        return replace(outcome, gained=gained) if isinstance(outcome, Interrupted | Corrupt) else outcome

    def disproved(self, source: Source, error: VerificationError) -> Outcome:
        """Bytes were proven wrong: who sent them, and what is to be asked for again."""
        seen = error.seen if isinstance(error, DigestError) else ""
        if self.mending is not None and not self.mending.is_done:
            self.blame(source, 1)
            return Corrupt(f"wrong bytes again: {error}", seen, mendable=True)
        self.contradicted = self.contradicted or self.mending is not None
        wrong = self._wrong()
        if not self._mend(wrong):
            return self._laid(source, self.partial.blamed(), self._start_anew(error))
        senders = Counter(
            sender
            for chunk in wrong
            if chunk.start >= self.partial.inherited
            and (sender := self.partial.ledger.writer(chunk.start, chunk.stop)) is not None
        )
        for each in self.run.sources:
            if each.name in senders:
                self.blame(each, senders[each.name], earlier=each is not source)
        reason = f"{len(wrong)} wrong chunks, sent by {', '.join(senders) or 'nobody knows whom'}: {error}"
        others = tuple(name for name in senders if name != source.name)
        if source.name in senders:
            return Corrupt(reason, seen, others, mendable=True)
        return Spliced(reason, others, mendable=True)

    def _laid(self, source: Source, culprit: str | None, outcome: Outcome) -> Outcome:
        """`outcome` as it is for `source`, which is asked just now: `culprit`, if it is known, may be another."""
        if not isinstance(outcome, Corrupt):
            return outcome
        if culprit != source.name:
            for each in self.run.sources:
                if each.name == culprit:
                    self.blame(each, 1, earlier=True)
            return Spliced(outcome.reason, (culprit,) if culprit else ())
        if self.wanted.file.chunks:
            self.blame(source, 1)  # the first chunk, before there were others
        return outcome

    def not_so_named(self, error: VerificationError) -> Outcome:
        """Blocks that prove their CID, and not the file: whoever named the CID was wrong, and not the gateway."""
        self.partial.reset()
        self.mending, self.furthest = None, 0
        return NotHere(f"the bytes of this CID are not those of the manifest: {error}")

    def blame(self, sender: Source, chunks: int, *, earlier: bool = False) -> None:
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
        from fallback.proofs import chunks_of  # noqa: PLC0415 - what is right needs none of it

        wrong = self.partial.wrong(chunks_of(self.wanted, self.run), self.run.over)
        if self.run.over():  # not all was looked at, and nobody is to be blamed for that
            raise Failed(Interrupted("the run ended while it was looked at which bytes are wrong"))
        return wrong

    def _mend(self, wrong: Chunks) -> bool:
        if wrong:
            from fallback.mending import Mending  # noqa: PLC0415 - as above

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
