"""Several connections for one large file that one is too slow for: each fetches segments, one thread writes them.

It begins when the connection that has the file turns out to be what is waited for (`pace`). That one takes segments
from then on, and so do others: the next sources of the plan that can be asked now, one connection each;
where there are none, a second one to the same source. What they bring is held in memory and given on in the file's
order (`segments`), so whoever writes sees one body: one proof, one deadline, one commit, and on disk nothing out
of order. If all that the run receives does not grow by it, one connection is left, which asks for the rest at once,
as if nothing had been. So does the last one where the others have failed, until one of them can be asked again.

A leg that fails is the plan's to learn of, as in a race, and whoever is asked in its place is the plan's to say; the
last one's outcome is the attempt's. Nothing is held against a source for one of its connections while it has another.
Who answers a Range with the whole file is no further help. All threads have ended when it is closed.

Exclusions: but for the first chunk of each leg (`member`) nothing is proven, and nothing written here (`holding`), and no more than one file of a run is fetched so.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from fallback.errors import StoppedError
from fallback.member import LATE, Member, Task
from fallback.outcome import Corrupt, Failed, Interrupted, Outrun, PartDelivered
from fallback.pace import WORTH_S
from fallback.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from fallback.member import Crew
    from fallback.outcome import Outcome
    from fallback.pace import Pace
    from fallback.race import Leg
    from fallback.run import Run
    from fallback.segments import Take

LOOK_S = 0.1
"""How often it is looked after the legs while nothing comes."""

PER_SOURCE = 2
"""Connections to one source, where it is all there is."""


class Convoy:
    """The bytes `span` of a file, from the first that `lead` has not brought to the file's end."""

    def __init__(self, run: Run, crew: Crew, pace: Pace, span: tuple[int, int], lead: Member) -> None:
        self._run, self._crew, self._pace = run, crew, pace
        self._segments: Segments[Member] = Segments(*span, pace.rate)
        self._stop = span[1]
        self._since = self._looked_at = time.monotonic()
        self._most = run.settings.connections
        self._measured = 1
        """How many have been found to be worth it, as far as they were measured: of more nothing is known."""
        self._is_measuring = self._is_alone = False
        self._useless: set[str] = set()
        self._changed = threading.Condition()
        self._under_way: dict[Future[Outcome], Member] = {}
        self._parting: list[tuple[Member, Outcome]] = []
        """Who has ended, and what is told of it once its last byte has been given on."""
        # The lead's answer goes on where the writing ended: that is its segment, and nobody else's.
        self._join(lead, self._segments.take(lead, self._since, 1))

    def pieces(self) -> Iterator[tuple[Leg, bytes]]:
        """The bytes in the file's order, and who brought them.

        Raises:
            Failed: the last leg's outcome; what was given before is what had come.
        """
        while True:
            if not self._is_alone and self._segments.rest < self._stop:
                self._ask_others()
            take = self._wait()
            if take is not None:
                if take.response is not None:
                    self._crew.begin(take.response)
                for data in take.data:
                    yield take.by.leg, data
                take.data.clear()  # it and its segment know each other: nothing else would free them soon
            self._tell_parted()
            if self._segments.is_over:
                return
            self._run.check()
            if not self._is_alone:
                self._reap()
                continue
            [(future, member)] = self._under_way.items()
            member.task = Task.REST
            if not self._is_due(future):
                self._reap()
                continue
            yield from self._alone(member)
            if self._is_alone:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for all to end; where nothing went wrong, tell what they came to, but for the last one."""
        with self._changed:
            for member in self._under_way.values():
                member.task = Task.NONE
                if kind is not None:
                    member.leg.shut()
            self._changed.notify_all()
        wait(self._under_way)
        self._tell_parted(is_all=True)
        if kind is None:
            told = [(each, self._told(each, future.result())) for future, each in self._under_way.items()]
            told.sort(key=lambda pair: not isinstance(pair[1], PartDelivered))
            for member, outcome in told[1:]:
                self._crew.lost(member.leg, outcome)

    def _ask_others(self) -> None:
        """As many as are worth it; in the place of one that failed, another."""
        now, received = time.monotonic(), self._run.network().received
        live = [member for member in self._under_way.values() if member.task is Task.ANY]
        begun = all(member.has_begun for member in live) or now - self._since > self._run.settings.patience_s
        if not self._is_measuring and len(live) > self._measured and begun:
            self._is_measuring = True
            self._pace.begin(now, received, self._since)
        worth = self._pace.worth(now, received, len(live)) if self._is_measuring else None
        if worth is not None:
            self._is_measuring, self._measured = False, len(live)
            if worth < len(live):
                self._most = worth
            for member in live[worth:]:
                member.task = Task.NONE
        while len(self._under_way) < self._most and (helper := self._helper()) is not None:
            self._join(helper)
        self._is_alone = len(self._under_way) == 1 and not self._parting

    def _helper(self) -> Member | None:
        """The next one to be asked, if there is one."""
        legs = [member.leg for member in self._under_way.values()]
        parting = [member.leg for member, _ in self._parting]
        found = self._crew.helper([leg.step for leg in (*legs, *parting)], self._useless)
        if found is not None:
            return Member(self._crew.entered(*found, self._segments.rest))
        names = {leg.source.name for leg in legs}
        if len(names) != 1 or len(legs) >= PER_SOURCE or names <= self._useless or self._pace.is_tried:
            return None
        return Member(self._crew.entered(legs[0].source, legs[0].step, self._segments.rest))

    def _join(self, member: Member, take: Take[Member] | None = None) -> None:
        self._under_way[self._run.askers().submit(self._work, member, take)] = member

    def _wait(self) -> Take[Member] | None:
        """What can be written next; it is waited for a moment. One at a time: the others still count as held."""
        with self._changed:
            if not self._segments.is_ready and not any(future.done() for future in self._under_way):
                self._changed.wait(LOOK_S)
            return next(self._segments.ready(), None)

    def _reap(self) -> None:
        """Part with those that have ended; the last one's outcome is the attempt's."""
        ended = [(future, member) for future, member in self._under_way.items() if future.done()]
        if self._segments.is_ready:  # written first: should it be wrong, whoever sent it is still at work
            return
        for future, member in ended:
            outcome = future.result()
            if len(self._under_way) == 1:
                if member.task is Task.REST and self._is_due(future):
                    return  # it is asked for the rest
                self._tell_parted(is_all=True)
                raise Failed(member.final(outcome))
            outcome = self._told(member, outcome)
            del self._under_way[future]
            if isinstance(outcome, PartDelivered | Outrun):
                self._useless.add(member.leg.source.name)
            self._parting.append((member, outcome))
            self._is_measuring, self._since = False, time.monotonic()  # of the others, from the beginning

    def _tell_parted(self, *, is_all: bool = False) -> None:
        """Tell what those came to whose last byte has been given on; all, if no more is."""
        with self._changed:
            over = [each for each in self._parting if is_all or not self._segments.waiting(each[0])]
        for each in over:
            self._parting.remove(each)
            self._crew.lost(each[0].leg, each[1])

    def _told(self, member: Member, outcome: Outcome) -> Outcome:
        """What is told of one that was not the last. `gained`: all that stays of it, also what has not had its turn."""
        with self._changed:
            brought = member.leg.received + self._segments.waiting(member)
        if isinstance(outcome, PartDelivered) and not brought:
            return Outrun("others had the same parts first")
        names = [each.leg.source.name for each in self._under_way.values()]
        if names.count(member.leg.source.name) > 1 and not isinstance(outcome, PartDelivered | Corrupt):
            return Outrun(f"one connection of two: {outcome.reason}")
        return replace(outcome, gained=brought) if isinstance(outcome, Interrupted) else outcome

    def _is_due(self, future: Future[Outcome]) -> bool:
        """Whether the one that is left has brought all that was taken."""
        return future.done() and isinstance(future.result(), PartDelivered) and not self._segments.held

    def _alone(self, member: Member) -> Iterator[tuple[Leg, bytes]]:
        """All that is left, from the one that is left; or until another one can help with it."""
        start, came = self._segments.rest, 0
        try:
            begun, response = member.ask(self._crew, start, None)
        except Failed as failed:
            raise Failed(member.final(failed.outcome)) from None
        self._crew.begin(response)
        with contextlib.ExitStack() as kept:
            kept.enter_context(begun.answer)
            for piece in begun.answer.pieces(self._stop - start):
                self._run.network().arrived(len(piece))
                came += len(piece)
                yield member.leg, piece
                if self._can_be_helped(member, self._stop - start - came):
                    kept.pop_all()
                    member.begun, member.came = begun, came
                    self._begin_again(member, start + came)
                    return

    def _can_be_helped(self, member: Member, left: int) -> bool:
        """Whether somebody can be asked now that could not a moment ago, and it is worth it."""
        now = time.monotonic()
        is_worth = self._most > 1 and left >= max(self._pace.least, WORTH_S * self._pace.rate)
        if not is_worth or now - self._looked_at < LOOK_S:
            return False
        self._looked_at = now
        return self._crew.helper([member.leg.step], self._useless) is not None

    def _begin_again(self, member: Member, start: int) -> None:
        """Segments of what is left from `start` on; the answer that brings it is the first one's."""
        self._segments = Segments(start, self._stop, self._pace.rate)
        self._since, self._is_alone = time.monotonic(), False
        self._under_way.clear()
        member.task = Task.ANY
        self._join(member, self._segments.take(member, self._since, 1))

    def _work(self, member: Member, first: Take[Member] | None) -> Outcome:
        """Fetch one segment after the other. In a thread of its own."""
        try:
            while (take := first or self._taken(member)) is not None:
                first = None
                self._fetch(member, take)
                if member.late == LATE:
                    return Outrun(f"others had {LATE} parts in a row before it")
            return PartDelivered("what it was asked for came")
        except Failed as failed:
            return failed.outcome
        except StoppedError as stopped:
            return Interrupted(str(stopped))
        finally:
            with self._changed:
                self._changed.notify_all()

    def _taken(self, member: Member) -> Take[Member] | None:
        """What it is to fetch now, which may take a while to be known; None: no more."""
        with self._changed:
            member.leg.is_outdone = False
            while not (member.task is Task.NONE or self._segments.is_all_here):
                legs = 0 if member.task is Task.REST else len(self._under_way)
                take = self._segments.take(member, time.monotonic(), legs)
                if take is not None or member.task is Task.REST:
                    return take
                self._changed.wait(LOOK_S)
            return None

    def _fetch(self, member: Member, take: Take[Member]) -> None:
        try:
            self._read(member, take)
        except BaseException as error:
            with self._changed:
                self._segments.failed(take)
                if not (isinstance(error, Failed) and take.is_outdone):
                    raise
        with self._changed:
            if not take.is_outdone:
                member.late = 0
            elif not take.is_hedge:  # one that only came to help is not late
                member.late += 1
            for other in self._segments.done(take, time.monotonic()):
                other.leg.outdo()
            self._changed.notify_all()

    def _read(self, member: Member, take: Take[Member]) -> None:
        segment, size = take.segment, take.segment.size
        begun, came, member.begun, member.came = member.begun, member.came, None, 0
        if begun is None:
            begun, take.response = member.ask(self._crew, segment.start, segment.stop)
        with begun.answer:
            for piece in begun.answer.pieces(came + size, came):
                member.has_begun = True
                self._run.network().arrived(len(piece))
                with self._changed:
                    self._segments.arrived(take, piece)
                member.prove(self._crew, take)
        if take.size < size:
            raise Failed(Interrupted(f"the body ended after {take.size} of {size} bytes of a part"))
