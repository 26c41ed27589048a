"""Who is next, and whom it asks: the order in which a fleet's nodes get the models. Pure.

So many nodes at first fetch from outside (`seeds`). A node that has all serves up to `fanout` others at a
time, and each of those serves in its turn, so that nodes that have all grow like powers. As long as one
serves, nobody is sent outside; a node whose peers fail goes there by itself, as every sync does (P5).

Exclusions: no clock and no network; a node is a name, and where it shares a URL.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

RESERVE = 3
"""Peers that a node is given besides the one it is to ask first."""


@dataclass(frozen=True, slots=True)
class Start:
    """A node that may begin: `peers` are the URLs it asks before anybody else, in order; none: it goes outside."""

    node: str
    peers: tuple[str, ...]
    wave: int
    attempt: int


class Waves:
    """The state of one fleet's sync, told what happens, asked who may begin.

    Args:
        nodes: their names; each is begun once, and once more for each of `attempts` that failed for a
            reason which may pass.
        seeds: how many may fetch from outside at a time while no node has all; one more for each that
            could not, so that a dead outside costs a few rounds and not one a node.
        fanout: how many a node serves at a time.
    """

    def __init__(self, nodes: Iterable[str], *, seeds: int, fanout: int, attempts: int = 2) -> None:
        self._waiting = deque(dict.fromkeys(nodes))
        self._seeds, self._fanout, self._attempts = seeds, fanout, attempts
        self._under_way: dict[str, Start] = {}
        self._serving: dict[str, tuple[str, int]] = {}  # node -> its URL, the wave it came with
        self._tried: Counter[str] = Counter()
        self._distrusted: set[str] = set()
        self._in_vain = 0

    @property
    def over(self) -> bool:
        """Whether every node has come to an end."""
        return not self._waiting and not self._under_way

    def begin(self) -> list[Start]:
        """Who may begin now; from here on they are under way."""
        begun = []
        while self._waiting and (start := self._next(self._waiting[0])) is not None:
            self._waiting.popleft()
            self._tried[start.node] += 1
            self._under_way[start.node] = start
            begun.append(start)
        return begun

    def has_all(self, node: str, url: str) -> None:
        """The node has every file, and shares them at `url`; "" if it cannot."""
        start = self._under_way.pop(node, None)
        if node in self._waiting:
            self._waiting.remove(node)
        if url and _host(url) not in self._distrusted:
            self._serving[node] = (url, start.wave if start else 0)

    def failed(self, node: str, *, again: bool) -> bool:
        """The node has not all; `again`: another try may help. Whether it will be begun once more."""
        start = self._under_way.pop(node, None)
        self._in_vain += again and start is not None and not start.peers
        if again and self._tried[node] < self._attempts:
            self._waiting.append(node)
            return True
        return False

    def gone(self, node: str) -> None:
        """The node serves no more."""
        self._serving.pop(node, None)

    def distrust(self, liars: Iterable[str]) -> None:
        """These hosts, with their ports, have sent wrong bytes: nobody is sent to them any more."""
        self._distrusted.update(liars)  # also who is away just now, and may come back
        for node, (url, _wave) in list(self._serving.items()):
            if _host(url) in self._distrusted:
                self.gone(node)

    def _next(self, node: str) -> Start | None:
        attempt = self._tried[node] + 1
        loads = Counter(start.peers[0] for start in self._under_way.values() if start.peers)
        if not self._serving:
            outside = sum(not start.peers for start in self._under_way.values())
            return Start(node, (), 0, attempt) if outside < self._seeds + self._in_vain else None
        free = sorted(self._serving.values(), key=lambda each: loads[each[0]])
        (url, wave), *others = free
        if loads[url] >= self._fanout:
            return None
        return Start(node, (url, *(each for each, _ in others[:RESERVE])), wave + 1, attempt)


def _host(url: str) -> str:
    """What events call a source at this URL: its host, with its port."""
    return url.partition("://")[2].rstrip("/")
