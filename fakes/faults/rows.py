"""The fault catalogue: every row by number, what goes wrong, what a downloader must do, and which faults play it.

The rows are data (`rows.toml` beside this module), so that a row without a fault can be there and be told apart: some
are the client's own machine's (`is_local`), some a faithful server plays by itself (`healthy`), one is about
the engine's own server (`by_tests`).
Does not say what a downloader in fact does: that is for tests.
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.faults.base import fault_from_dict

if TYPE_CHECKING:
    from fakes.faults.base import Fault


@dataclass(frozen=True)
class Row:
    """One row: `inject` is of S, R, P and L, as `rows.toml` explains; `plays` are ways to play it."""

    number: int
    name: str
    group: str
    inject: tuple[str, ...]
    does: str
    must: str
    plays: tuple[Fault, ...] = ()
    healthy: str | None = None
    by_tests: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it happens on the client's own machine, where no fake can play it."""
        return self.inject == ("L",)

    @property
    def played_by(self) -> str:
        """Who plays it: the faults' names, a faithful server, the client's machine, or nobody."""
        if self.plays:
            return ", ".join(dict.fromkeys(fault.name for fault in self.plays))
        if self.by_tests:
            return "tests of the engine's server"
        return "a faithful server" if self.healthy else "local" if self.is_local else "nobody"

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON."""
        return {
            "number": self.number,
            "name": self.name,
            "group": self.group,
            "inject": list(self.inject),
            "does": self.does,
            "must": self.must,
            "played_by": self.played_by,
            "plays": [fault.to_dict() for fault in self.plays],
        }


@functools.cache
def rows() -> dict[int, Row]:
    """Every row, by its number."""
    text = (importlib.resources.files(__package__) / "rows.toml").read_text(encoding="utf-8")
    read = [_row(group, entry) for group, entries in tomllib.loads(text).items() for entry in entries]
    return {row.number: row for row in sorted(read, key=lambda row: row.number)}


def _row(group: str, entry: dict[str, Any]) -> Row:
    plays = tuple(fault_from_dict(document) for document in entry.pop("plays", []))
    return Row(group=group, inject=tuple(entry.pop("inject").split("/")), plays=plays, **entry)
