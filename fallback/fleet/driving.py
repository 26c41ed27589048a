"""A fleet's sync by Dask: one task pinned to each node, begun in waves, one loop that hears how they end.

A node whose worker dies is begun again where Dask starts it anew, and is lost otherwise; the others go on. What
is not done within the time for all is told to stop, and is late. Exclusions: who is next (`waves`), what a node
does (`sharing`, `warming`), and what is shown of it.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections import Counter
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from distributed import KilledWorker, wait

from fallback.errors import FallbackError
from fallback.fleet import sharing
from fallback.fleet.cluster import GRACE_S, Whereabouts
from fallback.fleet.report import AGAIN, NodeReport
from fallback.fleet.tasks import TOPIC, work
from fallback.fleet.warming import has_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Client, Future

    from fallback.fleet.cluster import Node
    from fallback.fleet.tasks import Task
    from fallback.fleet.waves import Start, Waves

TICK_S = 0.5
DEATHS = 3
"""So often a node's worker may die under the task, which may be why it dies."""

RUNNING = "running"  # a client that reaches its scheduler
RESULT_S = 10.0

State = Literal["waiting", "checking", "outside", "peers", "ready", "failed"]


@dataclass(slots=True)
class Standing:
    """How a node stands: `peer` is whom it asks first; `done` are bytes of files that came in this attempt."""

    node: str
    state: State = "waiting"
    wave: int = 0
    peer: str = ""
    done: int = 0
    report: NodeReport | None = None


class Drive:
    """One sync of a fleet; `tell` is called with all standings whenever one has changed."""

    def __init__(
        self,
        client: Client,
        nodes: Sequence[Node],
        waves: Callable[[Sequence[str], int], Waves],
        task: Task,
        tell: Callable[[Sequence[Standing]], None],
    ) -> None:
        self._client, self._tell = client, tell
        self._task = replace(task, token=task.token or secrets.token_urlsafe(24))
        self._nodes = {node.name: node for node in nodes}
        self.standings = {node.name: Standing(node.name) for node in nodes}
        self._under_way: dict[Future, tuple[Start, str]] = {}  # with the worker that it was given to
        self._homeless: list[Start] = []  # whose worker is gone, and may come back
        self._deaths: Counter[str] = Counter()
        self._earlier: dict[str, NodeReport] = {}  # of attempts that failed
        self._served_by: dict[str, str] = {}  # node -> the worker that shares its files
        self._full: list[str] = []  # who had all at first
        self._where = Whereabouts(client, nodes)
        self._ends_at = math.inf
        self._make_waves = waves

    def run(self, timeout_s: float) -> tuple[NodeReport, ...]:
        """Have every node done, or fail, within so many seconds; what became of each.

        Raises:
            FallbackError: the scheduler is gone, and with it whatever is known of the nodes.
        """
        try:
            return self._run(timeout_s)
        except (OSError, RuntimeError) as error:  # CommClosedError; "ConnectionPool is closed"
            if self._client.status == RUNNING:
                raise
            raise FallbackError(f"the scheduler is gone: {error}") from error

    def _run(self, timeout_s: float) -> tuple[NodeReport, ...]:
        self._ends_at = time.monotonic() + timeout_s
        self._where.look(time.monotonic())
        self._full = full = self._ask_who_has_all(min(timeout_s, GRACE_S))
        self._waves = self._make_waves(
            [*full, *(name for name in self._nodes if name not in full)], len(full)
        )
        self._client.subscribe_topic(TOPIC, self._hear)
        try:
            while not self._waves.over and (left := self._ends_at - time.monotonic()) > 0:
                for start in self._waves.begin():
                    self._submit(start)
                self._tell(list(self.standings.values()))
                with contextlib.suppress(TimeoutError, CancelledError):
                    wait(list(self._under_way), timeout=min(TICK_S, left), return_when="FIRST_COMPLETED")
                for future in [each for each in self._under_way if each.done()]:
                    self._ended(future)
                self._look_around(time.monotonic())
        finally:
            self._end()
        self._tell(list(self.standings.values()))
        return tuple(each.report for each in self.standings.values() if each.report is not None)

    def _ask_who_has_all(self, timeout_s: float) -> list[str]:
        """Nodes that have all files already, as far as they know without hashing: nobody need go outside for them."""
        asked = {
            self._client.submit(
                has_all,
                self._task.on(node),
                self._task.manifest,
                workers=[address],
                allow_other_workers=False,
                pure=False,
            ): node.name
            for node in self._nodes.values()
            if (address := self._where.of(node.name)) is not None
        }
        with contextlib.suppress(TimeoutError, CancelledError):
            wait(list(asked), timeout=timeout_s)
        full = [name for future, name in asked.items() if _result(future)]
        self._client.cancel(list(asked))
        return full

    def _submit(self, start: Start) -> None:
        node, address = self._nodes[start.node], self._where.of(start.node)
        standing = self.standings[start.node]
        is_full = start.node in self._full and start.attempt == 1
        standing.state = "peers" if start.peers else "checking" if is_full else "outside"
        standing.wave = start.wave
        standing.peer, standing.done = (urlsplit(start.peers[0]).netloc if start.peers else ""), 0
        if address is None:
            self._homeless.append(start)
            return
        left_s = {"deadline_s": max(0.0, round(self._ends_at - time.monotonic(), 1))}
        future = self._client.submit(
            work,
            {**left_s, **self._task.on(node)},
            start.peers,
            self._task,
            node.name,
            key=f"{TOPIC}-{node.name}-{secrets.token_hex(4)}",
            # Not by a name: Dask would look it up once, and keep the task for a worker that is gone.
            workers=[address],
            allow_other_workers=False,
            pure=False,
        )
        self._under_way[future] = (start, address)

    def _ended(self, future: Future) -> None:
        start, _ = self._under_way.pop(future)
        if (told := _result(future)) is not None:
            self._served_by[start.node] = told["worker"]
            self._came(replace(NodeReport.from_json(told), wave=start.wave))
            return
        error = future.exception() if future.status == "error" else None
        if error is None or isinstance(error, KilledWorker):
            self._died(start)
        else:
            self._came(NodeReport(start.node, "error", f"{type(error).__name__}: {error}", wave=start.wave))

    def _died(self, start: Start) -> None:
        """Its worker is gone: it is begun again where that is started anew, but not for ever."""
        self._deaths[start.node] += 1
        if self._deaths[start.node] > DEATHS:
            self._lost(start, f"its worker died {DEATHS + 1} times")
        else:
            self._homeless.append(start)

    def _lost(self, start: Start, why: str) -> None:
        self._came(NodeReport(start.node, "lost", why, wave=start.wave))

    def _came(self, report: NodeReport) -> None:
        standing, report = self.standings[report.node], report.after(self._earlier.pop(report.node, None))
        self._waves.distrust(report.liars)
        if report.ok:
            self._waves.has_all(report.node, report.url)
            standing.state, standing.report = "ready", report
        elif self._waves.failed(report.node, again=report.problem in AGAIN):
            standing.state, self._earlier[report.node] = "waiting", report
        else:
            standing.state, standing.report = "failed", report

    def _look_around(self, now: float) -> None:
        """Which workers are there: who is away too long is lost, and who was started anew serves no more."""
        self._where.look(now)
        for name, worker in self._served_by.items():
            if not self._where.is_here(worker):
                self._waves.gone(name)
        for future, (start, address) in list(self._under_way.items()):
            if not self._where.is_here(address):
                future.cancel()
                del self._under_way[future]
                self._died(start)
        waiting, self._homeless = self._homeless, []
        for start in waiting:
            if self._where.is_lost(start.node, now):
                self._lost(start, "its worker is gone")
            else:
                self._submit(start)

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        node, done = event[1].get("node"), event[1].get("done")
        if node in self.standings and isinstance(done, int):
            self.standings[node].done = done

    def _end(self) -> None:
        """Nobody is left at work, and nobody shares."""
        for start in (*(start for start, _ in self._under_way.values()), *self._homeless):
            self._late(start.node, "it was not done in time")
        for name, standing in self.standings.items():
            if standing.report is None:
                self._late(name, "it was not begun in time")
        if self._client.status == RUNNING:
            self._client.cancel(list(self._under_way))
            self._client.run(sharing.end_all, on_error="ignore")
            self._client.unsubscribe_topic(TOPIC)

    def _late(self, name: str, what: str) -> None:
        standing = self.standings[name]
        standing.state, standing.report = "failed", NodeReport(name, "late", what, wave=standing.wave)


def _result(future: Future) -> Any:
    """What the task came to; None if it came to nothing, or its worker went away with it."""
    if future.status != "finished":
        return None
    try:
        return future.result(timeout=RESULT_S)
    except (TimeoutError, CancelledError):  # Dask would have it made again, by a worker that is gone
        future.cancel()
        return None
