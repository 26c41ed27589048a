"""In which form a gateway's content is asked for: by `format` and its fellows in the URL, else by Accept (IPIP-523).

Says what was asked and refuses nonsense; what there is to give is `fakes.trustless`'s to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, cast
from urllib.parse import parse_qs, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request

RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
KINDS = {RAW: "raw", CAR: "car"}
OTHERS = frozenset({"tar", "dag-json", "dag-cbor", "json", "cbor", "ipns-record"})
Scope = Literal["block", "entity", "all"]
_NUMBER = re.compile(r"-?\d+", re.ASCII)
_ALLOWED = {
    "car-version": {"1"},
    "car-order": {"dfs", "unk"},
    "car-dups": {"y", "n"},
    "dag-scope": {"block", "entity", "all"},
}


class NonsenseError(ValueError):
    """A parameter with a value that it cannot have."""


@dataclass(frozen=True)
class Span:
    """A part of a file, both ends included: negative ones count from its end, and None is its last byte."""

    first: int
    last: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A span as `entity-bytes` spells it.

        Raises:
            NonsenseError: it is none, or ends before it begins in every file.
        """
        first, colon, last = text.partition(":")
        if not (_NUMBER.fullmatch(first) and colon and (last == "*" or _NUMBER.fullmatch(last))):
            raise NonsenseError("invalid entity-bytes parameter")
        made = cls(int(first), None if last == "*" else int(last))
        if made.last is not None and made.last < made.first and (made.first < 0) == (made.last < 0):
            raise NonsenseError("invalid entity-bytes parameter: it ends before it begins")
        return made

    def within(self, size: int) -> tuple[int, int]:
        """The same as start and stop, not included, in a file of `size` bytes; nothing of an empty file.

        Raises:
            NonsenseError: no byte of the file is in it.
        """
        start = self.first if self.first >= 0 else max(0, size + self.first)
        last = size - 1 if self.last is None else self.last if self.last >= 0 else size + self.last
        stop = min(size, last + 1)
        if size and start >= stop:
            raise NonsenseError("invalid entity-bytes parameter: outside of the file")
        return start, stop


@dataclass(frozen=True)
class Wanted:
    """A form by its name, and of a CAR what is to be in it.

    `added` is what the URL would have to say besides, where Accept said it; empty where the URL named the form.
    """

    kind: str
    added: str = ""
    scope: Scope = "all"
    span: Span | None = None
    dups: Literal["y", "n"] = "n"


def wanted(request: Request) -> Wanted | None:
    """The form that is asked for, None for the content itself.

    Raises:
        NonsenseError: a CAR is asked for, with a parameter that says nothing.
    """
    query = {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    accepted, parameters = _accepted(request.header("accept") or "")
    kind = query.get("format") or accepted
    if kind is None:
        return None
    added = "" if query.get("format") else _added(kind, parameters, query)
    if kind != "car":
        return Wanted(kind, added)
    told = {**(parameters if accepted == "car" else {}), **query}
    for name, allowed in _ALLOWED.items():
        if name in told and told[name] not in allowed:
            raise NonsenseError(f"invalid {name} parameter")
    span = Span.parse(told["entity-bytes"]) if "entity-bytes" in told else None
    # Bytes are an entity's, whatever the scope says. boxo's default is that no block comes twice.
    scope = "entity" if span else cast("Scope", told.get("dag-scope", "all"))
    return Wanted(kind, added, scope, span, "y" if told.get("car-dups") == "y" else "n")


def _added(kind: str, parameters: Mapping[str, str], query: Mapping[str, str]) -> str:
    new = {name: value for name, value in parameters.items() if name in _ALLOWED and name not in query}
    return urlencode({"format": kind, **new})


def _accepted(accept: str) -> tuple[str | None, dict[str, str]]:
    """The first form of ours in an Accept header, and its parameters by their names in the URL."""
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name.lower() in KINDS:
            pairs = (parameter.partition("=") for parameter in parameters)
            return KINDS[name.lower()], {f"car-{key.strip()}": value.strip(' "') for key, _, value in pairs}
    return None, {}
