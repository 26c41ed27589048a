"""What became of one node, as plain data: what `warm_node` returns and a fleet's table is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from fallback.events import AttemptEnded, Blamed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fallback.events import Event

Problem = Literal["", "unavailable", "storage", "config", "stopped", "lost", "late", "error"]
"""Why a node has not all: no source, its disk, its settings, told to stop; gone, not done in time, a mistake of ours."""

AGAIN: frozenset[Problem] = frozenset({"unavailable", "error"})
"""What another try may mend."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node: `bytes_by_layer` are of bodies that came, by the layer they came from; `url` is where it shares.

    `unshared`: why it does not, though it has all.
    `liars`: hosts (with their ports) of sources that had sent wrong bytes, which were found out.
    """

    node: str
    problem: Problem = ""
    error: str = ""
    files: int = 0
    failed: int = 0
    bytes_by_layer: Mapping[str, int] = field(default_factory=dict)
    liars: tuple[str, ...] = ()
    seconds: float = 0.0
    url: str = ""
    wave: int = 0
    """0: from outside; n: from a node of wave n - 1 at the latest."""

    unshared: str = ""

    @property
    def ok(self) -> bool:
        """Whether every file is there and right."""
        return not self.problem

    @property
    def outside_bytes(self) -> int:
        """Bytes that came from beyond the fleet."""
        return sum(count for layer, count in self.bytes_by_layer.items() if layer != "peer")

    @property
    def peer_bytes(self) -> int:
        """Bytes that came from other nodes."""
        return self.bytes_by_layer.get("peer", 0)

    def after(self, earlier: Self | None) -> Self:
        """This one with what an earlier attempt of the node cost."""
        if earlier is None:
            return self
        layers = earlier.bytes_by_layer.keys() | self.bytes_by_layer.keys()
        sums = {
            each: earlier.bytes_by_layer.get(each, 0) + self.bytes_by_layer.get(each, 0)
            for each in sorted(layers)
        }
        return dataclasses.replace(
            self,
            bytes_by_layer=sums,
            liars=tuple(sorted({*earlier.liars, *self.liars})),
            seconds=round(earlier.seconds + self.seconds, 3),
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return dataclasses.asdict(self) | {
            "liars": list(self.liars),
            "ok": self.ok,
            "outside_bytes": self.outside_bytes,
            "peer_bytes": self.peer_bytes,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """A report that was `to_json` elsewhere."""
        known = {each.name for each in dataclasses.fields(cls)}
        given = {name: value for name, value in document.items() if name in known}
        return cls(**given | {"liars": tuple(given.get("liars", ()))})


class Tally:
    """An observer that adds up what a report says of a run's attempts."""

    def __init__(self) -> None:
        self.bytes_by_layer: dict[str, int] = {}
        self.liars: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Count `event`."""
        match event:
            case AttemptEnded(layer=layer, bytes_received=count):
                if count:
                    self.bytes_by_layer[layer] = self.bytes_by_layer.get(layer, 0) + count
                if event.outcome == "corrupt":
                    self.liars.add(event.source)
            case Blamed():
                self.liars.add(event.source)
            case _:
                pass
