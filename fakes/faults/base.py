"""What a fault is: a frozen dataclass whose fields are its JSON, and one method.

The method wraps the site, so that a fault may change the request before it is answered (a Range that the server does
not see), the answer (another status), or what happens on the connection (steps of `fakes.steps`). Faults therefore
compose: each sees the answer the ones before it made. The catalogue numbers are those of the fault catalogue in the
README, and they are stable; a fault that plays no row of it has none.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fakes.answer import Answer, Request, Serve
    from fakes.proxy import Chunk, Line, Stream
    from fakes.tls import Handshake

Level = Literal["request", "accept", "handshake", "network", "server"]

FAULTS: dict[str, type[Fault]] = {}


@dataclass(frozen=True)
class Fault:
    """One thing a fake does wrong.

    `level` says where it strikes: at a request, when a connection is accepted, in its TLS handshake, on the network in
    front of the server (connections made from then on), or on the whole server at once.
    """

    name: ClassVar[str]
    numbers: ClassVar[tuple[int, ...]]
    group: ClassVar[str]
    level: ClassVar[Level] = "request"

    def __init_subclass__(
        cls, *, name: str, group: str, numbers: tuple[int, ...] = (), level: Level = "request"
    ) -> None:
        """Enter the fault into the catalogue."""
        super().__init_subclass__()
        cls.name, cls.numbers, cls.group, cls.level = name, numbers, group, level
        FAULTS[name] = cls

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Answer the request, wrongly; `serve` is the site, with the faults before this one around it."""
        raise NotImplementedError

    def takes(self, length: int | None) -> int | None:  # noqa: ARG002  # most faults take all
        """How many bytes of a request's body are taken before the connection is reset; None: all `length` of them."""
        return None

    def handshake(self, handshake: Handshake) -> Handshake:
        """For a fault of that level: make the TLS handshake wrong, as the faults before this one left it."""
        raise NotImplementedError

    def pipe(self, stream: Stream, line: Line) -> AsyncIterator[Chunk]:
        """For a fault of the network: what goes out of a connection's stream, from what comes in."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The fault as JSON: its name and all its fields."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @classmethod
    def what(cls) -> str:
        """One line on what it does."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


def not_negative(fault: Fault, *fields: str, most: float = math.inf) -> None:
    """Refuse a fault with a number below zero, or above `most`, where that means nothing; ValueError names it."""
    for field in fields:
        value = getattr(fault, field)
        if not 0 <= value <= most:
            bounds = "0 or more" if value < 0 else f"{most} at most"
            raise ValueError(f"fault {fault.name!r}: {field} is {bounds}, not {value}")


def final_status(fault: Fault, status: int) -> None:
    """Refuse a fault whose `status` could not end an answer; ValueError says what could."""
    if not 200 <= status <= 999:
        raise ValueError(f"fault {fault.name!r}: a final status is 200 to 999, not {status}")


def fault_from_dict(document: Mapping[str, Any]) -> Fault:
    """A fault from its JSON; a name, field or type that does not exist is a ValueError that says what does."""
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError(f'a fault is an object with a "name", not {document!r}')  # noqa: TRY004  # one error for whatever is wrong with a document
    cls = FAULTS.get(document["name"])
    if cls is None:
        raise ValueError(f"no fault is called {document['name']!r}; known: {', '.join(sorted(FAULTS))}")
    hints = typing.get_type_hints(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    for field, value in document.items():
        if field == "name":
            continue
        if field not in known:
            raise ValueError(
                f"fault {cls.name!r} has no field {field!r}; known: {', '.join(known) or 'none'}"
            )
        if not _fits(value, known[field]):
            raise ValueError(f"fault {cls.name!r}: {field} is {_spelled(known[field])}, not {value!r}")
    try:
        return cls(**{field: value for field, value in document.items() if field != "name"})
    except TypeError as error:  # a field without a default was left out
        raise ValueError(f"fault {cls.name!r}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        return isinstance(value, dict) and all(_fits(text, str) for pair in value.items() for text in pair)
    if typing.get_args(hint):  # a union
        return any(_fits(value, part) for part in typing.get_args(hint))
    if isinstance(value, str) and hint is str:
        return value.isascii() or not re.search(
            "[\ud800-\udfff]", value
        )  # half a character: nobody can send it
    if isinstance(value, bool):
        return hint is bool  # JSON's true is no number, whatever Python says
    if hint is float:  # JSON's 1e400 is infinite, and no fault is
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, hint)


def _spelled(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
