"""Which range of a file is fetched next, and by whom, when several fetch it at once. Pure.

The file is taken in order, a *segment* at a time: a few MiB just ahead of what is written, as many as its
leg (a source that is asked) brings in a moment, so that a slow one keeps nobody waiting for long. A segment is
held in memory until it is whole and its turn has come: nothing is ever on disk out of order, and a kill loses
`HELD` at most. Segments end where chunks do, so that each chunk has one sender, who can be blamed; but for
the one that a leg broke off in which had the next turn.

The rules:

- What somebody left unfinished is taken first; then new segments, while not more than `HELD` is held.
- Who has nothing else to do takes a segment once more that another one is late with (the hedge), the first first;
  whoever has it whole first counts, and the other goes on with the next. So no stalled leg holds up the rest, nor
  the end; and who was late is taken to be as slow as it was, until it brings a segment again.
- Of a segment whose leg fails, the chunks that came stay; of the one whose turn is next every byte, as of one stream.
- The last segments are smaller, for all to end at the same time.

Exclusions: no clock and no thread (`convoy`), no source is chosen (`plan`), and no byte is judged (`verify`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from fallback.manifest import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.ledger import Response

HELD = 24 << 20
"""Bytes of segments under way or waiting for their turn, at most: what they cost in memory, and what a kill loses."""

MOST = 4 << 20
"""The largest segment."""

SPAN_S = 0.6
"""A segment is what its leg brings in so long: each costs a round trip, and a late one holds up the others."""

LATE, LATE_S = 2.0, 0.25
"""One is late that would take so many times as long, and so many seconds more, than whoever could have it instead."""

SILENT_S = 1.0
"""And one whose first byte is not here after so long, beside that: a connection has to be made first."""

L = TypeVar("L", bound=Hashable)


@dataclass(eq=False, slots=True)
class Take(Generic[L]):
    """What one leg brings of one segment."""

    by: L
    segment: Segment[L]
    since: float
    data: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes that have come."""
    response: Response | None = None
    """What brings them; None: the same one that brought what is before."""

    @property
    def is_outdone(self) -> bool:
        """Whether another one had the segment first."""
        return self.segment.whole not in {None, self}

    @property
    def is_hedge(self) -> bool:
        """Whether another one was late with the segment when it was taken."""
        return self.segment.late not in {None, self}


@dataclass(eq=False, slots=True)
class Segment(Generic[L]):
    """The bytes `start` <= b < `stop` of the file, and who is fetching them."""

    start: int
    stop: int
    takes: list[Take[L]] = field(default_factory=list)
    whole: Take[L] | None = None
    late: Take[L] | None = None
    """Beside which another one was asked for it."""

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stop - self.start


class Segments(Generic[L]):
    """The rest of a file, from byte `start` to `stop`, as legs take it; `rate`: of a leg that has brought none yet."""

    def __init__(self, start: int, stop: int, rate: float) -> None:
        self._next, self._stop, self._first_rate = start, stop, rate
        self._rates: dict[L, float] = {}
        self._open: list[Segment[L]] = []

    @property
    def held(self) -> int:
        """Bytes of all segments that were taken and have not had their turn."""
        return sum(segment.size for segment in self._open)

    @property
    def is_over(self) -> bool:
        """Whether all of the file has had its turn."""
        return not self._open and self._next == self._stop

    @property
    def is_all_here(self) -> bool:
        """Whether nothing is left to fetch."""
        return self._next == self._stop and all(segment.whole for segment in self._open)

    @property
    def is_ready(self) -> bool:
        """Whether the next segment's turn has come."""
        return bool(self._open) and self._open[0].whole is not None

    @property
    def rest(self) -> int:
        """Where what nobody has taken begins."""
        return self._next

    def waiting(self, leg: L) -> int:
        """Bytes that `leg` has brought, and whose turn is still to come."""
        return sum(each.size for each in self._open if each.whole and each.whole.by == leg)

    def take(self, leg: L, now: float, legs: int) -> Take[L] | None:
        """What `leg` is to fetch now, one of so many, or of none: then no new one. None: nothing, for now."""
        segment = (
            next((each for each in self._open if not each.whole and not each.takes), None)
            or (self._new(leg, legs) if legs else None)
            or next((each for each in self._open if self._is_late(each, leg, now)), None)
        )
        if segment is None:
            return None
        take = Take(leg, segment, now)
        segment.late = segment.takes[0] if segment.takes else None
        segment.takes.append(take)
        return take

    def arrived(self, take: Take[L], data: bytes) -> None:
        """The next bytes of a take have come."""
        take.data.append(data)
        take.size += len(data)

    def done(self, take: Take[L], now: float) -> list[L]:
        """The segment is whole; who else was fetching it, for nothing now."""
        segment = take.segment
        if segment.whole is not None:
            take.data.clear()
            return []
        self._rates[take.by] = take.size / max(now - take.since, 1e-3)
        segment.whole = take
        others = [each.by for each in segment.takes if each is not take]
        late = segment.late
        if late is not None and late is not take:
            rate = max(late.size, 1) / max(now - late.since, 1e-3)
            self._rates[late.by] = min(rate, self._rate(late.by))
        segment.takes.clear()
        return others

    def failed(self, take: Take[L]) -> None:
        """No more of it comes: what is worth keeping stays, the rest is somebody else's."""
        segment = take.segment
        if segment.whole is not None:
            take.data.clear()
            return
        segment.takes.remove(take)
        end = segment.start + take.size
        if segment is not self._open[0] and end != segment.stop:
            end = end // CHUNK_BYTES * CHUNK_BYTES
        if segment.takes or end <= segment.start:
            take.data.clear()
            return
        if end != segment.stop:
            self._open.insert(self._open.index(segment) + 1, Segment(end, segment.stop))
        take.data = [b"".join(take.data)[: end - segment.start]]
        take.size = end - segment.start
        segment.stop, segment.whole = end, take

    def ready(self) -> Iterator[Take[L]]:
        """The takes whose turn has come, in the file's order; each is given once."""
        while self._open and (take := self._open[0].whole) is not None:
            self._open.pop(0)
            yield take

    def _new(self, leg: L, legs: int) -> Segment[L] | None:
        left = self._stop - self._next
        want = min(self._rate(leg) * SPAN_S, left / (2 * legs), MOST)
        least = (self._next // CHUNK_BYTES + 1) * CHUNK_BYTES
        stop = min(
            self._stop, max(least, int(self._next + want + CHUNK_BYTES / 2) // CHUNK_BYTES * CHUNK_BYTES)
        )
        if not left or (self._open and self.held + stop - self._next > HELD):
            return None
        segment = Segment[L](self._next, stop)
        self._open.append(segment)
        self._next = stop
        return segment

    def _rate(self, leg: L) -> float:
        return self._rates.get(leg, self._first_rate)

    def _is_late(self, segment: Segment[L], leg: L, now: float) -> bool:
        if segment.whole or len(segment.takes) != 1 or segment.takes[0].by == leg:
            return False
        take = segment.takes[0]
        taken_s, mine_s = now - take.since, segment.size / self._rate(leg)
        if not take.size:
            return taken_s > mine_s + SILENT_S
        more_s = (segment.size - take.size) * taken_s / take.size
        return taken_s > mine_s and more_s > LATE * mine_s + LATE_S
