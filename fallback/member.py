"""One connection of several for a file: what it is asked for, and whether what comes may be used.

Each segment is a Range, with If-Range where that host gave a strong entity tag; a source that answers by way of a
redirect is asked where the last one led (`trail`). Who answers with the whole file is no help.
Exclusions: no byte is read here (`convoy`), and which range is fetched is `segments`' to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from fallback.exchange import host_of
from fallback.ledger import Response
from fallback.manifest import CHUNK_BYTES
from fallback.outcome import Corrupt, Failed, Interrupted, Malformed, Outrun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fallback.chance import Try
    from fallback.exchange import Request
    from fallback.outcome import Outcome
    from fallback.race import Begun, Leg
    from fallback.segments import Take
    from fallback.sources import Source

PARTIAL_CONTENT = 206

LATE = 2
"""So often in a row a leg may be late with its segment before it is no help any more."""


@dataclass(frozen=True, slots=True)
class Crew:
    """How the work at a file has others asked, and is told of them."""

    ask: Callable[[Leg], Begun]
    """Called in the leg's thread; the others are not."""
    request: Callable[[Source, int, int | None], Request]
    """For the bytes from the one to the other; None: the end. In the leg's thread, too."""
    helper: Callable[[Collection[Try], Collection[str]], tuple[Source, Try] | None]
    """The next to ask, beside these steps, and not of these names; None: nobody."""
    entered: Callable[[Source, Try, int], Leg]
    """Makes a leg of one that is now asked, from this byte on."""
    lost: Callable[[Leg, Outcome], None]
    """Told what each came to, but for the last, once all of it that is of use has been given on."""
    is_right: Callable[[int, bytes], bool]
    """Whether these bytes are the file's chunk that begins there, as far as its digest is known. In the leg's thread."""
    begin: Callable[[Response], None]
    """Told of each response before its first byte is given on."""


class Task(Enum):
    """What a leg takes next."""

    ANY = auto()
    REST = auto()
    """What is unfinished, and no more: it is the last one, and then asked for all that follows at once."""
    NONE = auto()


@dataclass(eq=False, slots=True)
class Member:
    """A leg that takes segments, in a thread of its own."""

    leg: Leg
    begun: Begun | None = None
    """An answer that it goes on with, and of which `came` bytes have been read."""
    came: int = 0
    etag: str | None = None
    has_begun: bool = False
    is_proven: bool = False
    """A chunk that it brought has been looked at, and was right; or there was none to be looked at."""
    late: int = 0
    """Segments in a row that it was so late with that another one had them first."""
    task: Task = Task.ANY

    def ask(self, crew: Crew, start: int, stop: int | None) -> tuple[Begun, Response]:
        """The answer that has the bytes from `start` to `stop`.

        Raises:
            Failed: there is none.
        """
        leg = self.leg
        leg.request = crew.request(leg.source, start, stop)
        begun = crew.ask(leg)
        head = begun.answer.head
        wrong: Outcome | None = None
        if begun.start != start or head.status != PARTIAL_CONTENT:
            wrong = Outrun("it gives the whole file where a part was asked for")
        elif self.etag and head.strong_etag not in {None, self.etag}:
            wrong = Malformed("it has another entity tag than a moment ago")
        if wrong is not None:
            begun.answer.close()
            raise Failed(wrong)
        self.etag = head.strong_etag
        return begun, Response(start, leg.source.layer, leg.source.name, head.strong_etag, host_of(head.url))

    def prove(self, crew: Crew, take: Take[Member]) -> None:
        """Look at the first chunk of all that it brings, before any of it is given on; what is wrong is thrown away.

        Raises:
            Failed: it is wrong.
        """
        start, least = take.segment.start, min(CHUNK_BYTES, take.segment.size)
        if self.is_proven or start % CHUNK_BYTES or take.size < least:
            return
        self.is_proven = crew.is_right(start, b"".join(take.data)[:least])
        if not self.is_proven:
            take.data.clear()
            take.size = 0
            raise Failed(Corrupt(f"wrong bytes: the chunk from byte {start} on"))

    def final(self, outcome: Outcome) -> Outcome:
        """What is told of the last: that it gives no ranges is no excuse any more, for nobody else has the file."""
        if self.late == LATE:  # others had its parts, and have failed since
            return Interrupted("it was late with its parts", self.leg.received)
        return Malformed(outcome.reason) if isinstance(outcome, Outrun) else outcome


def gives_ranges(begun: Begun) -> bool:
    """Whether the rest of a body that has begun can be had in parts."""
    head = begun.answer.head
    return head.status == PARTIAL_CONTENT or head.headers.get("accept-ranges", "").strip().lower() == "bytes"
