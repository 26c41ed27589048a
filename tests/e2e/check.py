"""Expectations: every one is noted, with what was expected and what was seen, and none ends the act early."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from fakes.catalogue import targets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from fakes.apart import Entry
    from tests.e2e.disk import Disk
    from tests.e2e.engine import Run

SHOWN = 600
"""Characters of a value or of stderr that a message shows: enough to understand, not enough to drown in."""


class Checks:
    """The failures of one act, as sentences; `made` counts the checks, so that an act without any cannot pass."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.made = 0

    def that(self, holds: object, what: str, *, expected: object, seen: object) -> None:
        """One expectation."""
        self.made += 1
        if not holds:
            self.failures.append(f"{what}: expected {_short(expected)}, saw {_short(seen)}")

    def equal(self, what: str, seen: object, expected: object) -> None:
        """It is exactly this."""
        self.that(seen == expected, what, expected=expected, seen=seen)

    def at_most(self, what: str, seen: float, bound: float) -> None:
        """It is no more than this."""
        self.that(seen <= bound, what, expected=f"at most {bound}", seen=seen)

    def exit(self, run: Run, code: int) -> None:
        """The exit code, and output that is nothing but events, the last of them `run_ended`."""
        self.code(run, code)
        self.equal("last event", run.last.get("event"), "run_ended")

    def code(self, run: Run, code: int) -> None:
        """The exit code, and output that is nothing but JSON."""
        seen = "none: it had to be ended" if run.code is None else run.code
        self.that(
            run.code == code,
            "exit code",
            expected=code,
            seen=f"{seen}; stderr ended: {run.stderr[-SHOWN // 2 :].strip()!r}",
        )
        self.equal("lines on stdout that are no JSON", run.stray, ())

    def all_right(self, disk: Disk, manifest: Mapping[str, Any], set_aside: Collection[str] = ()) -> None:
        """Every file is there, every byte of it is right, and nothing else is but what had to be set aside."""
        count = len(targets(manifest))
        self.that(
            len(disk.right) == count,
            "files with the right bytes",
            expected=count,
            seen=f"{len(disk.right)}; missing: {', '.join(disk.missing) or 'none'}",
        )
        self.nothing_wrong(disk, set_aside)
        self.equal("partials and ledgers left after a success", disk.partials, ())

    def nothing_wrong(self, disk: Disk, set_aside: Collection[str] = ()) -> None:
        """No final name holds other bytes, and no name is there that nobody asked for."""
        self.equal("final names with wrong bytes", disk.wrong, ())
        self.equal("names nobody asked for", disk.strange, ())
        self.equal("files set aside", disk.set_aside, tuple(sorted(set_aside)))


class Journal:
    """What the fakes saw, as numbers."""

    def __init__(self, entries: Collection[Entry]) -> None:
        self.entries = entries

    def count(self, *servers: str) -> int:
        """Requests to these servers; to all of them if none is named."""
        return sum(1 for entry in self.entries if not servers or entry["server"] in servers)

    def of(self, target: str) -> list[Entry]:
        """Requests to gateways for a file: no two of the manifest's have the same last name."""
        name = target.rpartition("/")[2]
        return [entry for entry in self.entries if entry["path"].rpartition("/")[2] == name]

    def sent(self, target: str) -> int:
        """Body bytes of it that gateways sent."""
        return sum(entry["bytes_sent"] for entry in self.of(target))

    def by_file(self, server: str, keep: Callable[[Entry], bool] = lambda _entry: True) -> Counter[str]:
        """How often each path was asked of this server."""
        return Counter(entry["path"] for entry in self.entries if entry["server"] == server and keep(entry))

    def bytes_by_server(self) -> dict[str, int]:
        """Body bytes that each server sent."""
        sent: Counter[str] = Counter()
        for entry in self.entries:
            sent[entry["server"]] += entry["bytes_sent"]
        return dict(sorted(sent.items()))

    def served(self, server: str) -> int:
        """Files that this server sent to their end, without a fault."""
        return sum(
            1
            for entry in self.entries
            if entry["server"] == server
            and entry["status"] in {200, 206}
            and entry["method"] == "GET"
            and entry["ended"] == "complete"
            and not entry["faults"]
        )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
