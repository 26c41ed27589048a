"""The journal: what the fakes saw and did, one entry a request, readable from any thread while the world runs.

An entry is there as soon as its request has arrived, `ended` is "open", and it is completed later. How one ends:
  complete       everything the answer promised was sent
  client-closed  the client went away first
  held           the fake fell silent, on purpose
  truncated      the fake closed the connection early      closed   the same, before a byte of an answer
  reset          the fake sent a RST                       failed   the fake has a bug, its log says which
Reading from another thread first lets the event loop catch up with everything that clients have done before.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fakes.answer import Request


MOST = 100_000
"""Entries kept; a few hundred megabytes at the most."""


@dataclass(frozen=True)
class Entry:
    """One request: `time` in seconds since the epoch, `bytes_sent` of the body, `seconds` from arrival to the end.

    `range` is the request's Range header; `status` is None while, or because, no proper head was sent; `faults` names
    those that were played, in order. An entry of a connection that was ended at accept has no method and no path.
    """

    seq: int
    time: float
    server: str
    client: str
    method: str
    path: str
    query: str
    range: str | None
    headers: Mapping[str, str]
    status: int | None = None
    bytes_sent: int = 0
    faults: tuple[str, ...] = ()
    ended: str = "open"
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON has it."""
        return {**dataclasses.asdict(self), "faults": list(self.faults)}


class Journal:
    """The entries since the start or the last `clear()`, in order of arrival; the newest `most`.

    A world may serve for days: older ones are forgotten, and `seq` says how many there were.
    """

    def __init__(self, settle: Callable[[], None] = lambda: None, *, most: int = MOST) -> None:
        self._settle, self._most = settle, most
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}
        self._next = 0

    def open(self, request: Request, faults: tuple[str, ...]) -> Record:
        """Write down that a request has arrived."""
        with self._lock:
            entry = Entry(
                seq=self._next,
                time=time.time(),
                server=request.server,
                client=request.client,
                method=request.method,
                path=request.path,
                query=request.query,
                range=request.header("range"),
                headers=dict(request.headers),
                faults=faults,
            )
            self._entries[entry.seq] = entry
            self._next += 1
            if len(self._entries) > self._most:
                del self._entries[next(iter(self._entries))]
        return Record(self, entry.seq)

    def change(self, seq: int, **fields: Any) -> None:
        """Complete an entry; one that was cleared meanwhile stays away."""
        with self._lock:
            if seq in self._entries:
                self._entries[seq] = dataclasses.replace(self._entries[seq], **fields)

    def entries(self) -> list[Entry]:
        """All entries, as they are now."""
        self._settle()
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget everything so far, requests under way included."""
        self._settle()
        with self._lock:
            self._entries.clear()

    def select(self, server: str = "*", path: str = "*", method: str | None = None) -> list[Entry]:
        """The entries whose server and path match these globs ("*" also crosses "/"), of that method if one is given."""
        return [
            entry
            for entry in self.entries()
            if fnmatchcase(entry.server, server)
            and fnmatchcase(entry.path, path)
            and method in {None, entry.method}
        ]

    def bytes_sent(self, server: str = "*", path: str = "*") -> int:
        """Body bytes that these servers sent in all."""
        return sum(entry.bytes_sent for entry in self.select(server, path))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self.entries())

    def __getitem__(self, index: int) -> Entry:
        return self.entries()[index]


class Record:
    """The pen for one entry, held by the one who answers the request."""

    def __init__(self, journal: Journal, seq: int) -> None:
        self._journal, self._seq = journal, seq
        self._started = time.monotonic()
        self._bytes = 0

    def status(self, status: int | None) -> None:
        """The head was sent."""
        self._journal.change(self._seq, status=status)

    def sent(self, count: int) -> None:
        """So many more bytes of the body were taken by the connection."""
        self._bytes += count
        self._journal.change(self._seq, bytes_sent=self._bytes)

    def ended(self, how: str) -> None:
        """The answer is over, or will not go on."""
        self._journal.change(self._seq, ended=how, seconds=time.monotonic() - self._started)
