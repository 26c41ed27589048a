"""The nodes that a Dask scheduler knows of: one a host; or processes on this machine, as if each were a node.

Exclusions: what is done on them (`driving`). Only this and `driving` know Dask.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

from fallback.errors import FallbackError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CONNECT_S = 10.0
START_S = 120.0
GRACE_S = 10.0
"""A worker that a nanny starts anew may be away for so long."""

LOST_S = 2.0
"""One that nobody starts anew, for so long."""

LOOK_S = 1.0
ALL = -1
"""All workers, not the few that a person wants to read of."""


for _name in ("distributed", "distributed.client"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
"""What matters of it is said by us, and Dask's traces are of no use to who runs a fleet; workers log as they are told."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, or what stands for one: `pin` is what Dask calls its workers, `overrides` are its own settings."""

    name: str
    pin: str | int
    overrides: Mapping[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def local(
    count: int, folder: Path, state_dir: Path | None = None
) -> Iterator[tuple[Client, tuple[Node, ...]]]:
    """So many processes on this machine, each with a models folder of its own below `folder`.

    Each has a state of its own as well, below `state_dir` or in its models folder: rows of one name in one
    database would replace each other.

    Raises:
        FallbackError: they do not start.
    """
    cluster = LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=None,
        silence_logs="CRITICAL",
    )
    with cluster, Client(cluster) as client:
        try:
            client.wait_for_workers(count, timeout=START_S)
        except TimeoutError:
            raise FallbackError(f"{count} processes did not start within {START_S:.0f} s") from None
        yield client, tuple(_process(place, folder, state_dir) for place in range(count))


def _process(place: int, folder: Path, state_dir: Path | None) -> Node:
    name = f"node-{place}"
    models_dir = folder / name
    state = state_dir / name if state_dir else models_dir / ".fallback"
    return Node(name, place, {"models_dir": str(models_dir), "state_dir": str(state)})


@contextlib.contextmanager
def joined(scheduler: str, count: int | None) -> Iterator[tuple[Client, tuple[Node, ...]]]:
    """The hosts that have workers of this scheduler, the first `count` of them.

    Raises:
        SettingsError: it does not answer, or knows of no worker, or of fewer hosts than that.
    """
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(f"scheduler {scheduler}: {error}") from None
    with client:
        ends_at = time.monotonic() + CONNECT_S
        while len(hosts := _hosts(client)) < (count or 1) and time.monotonic() < ends_at:
            time.sleep(LOOK_S / 5)  # workers that were started a moment ago
        if len(hosts) < (count or 1):
            raise SettingsError(
                f"scheduler {scheduler}: it has workers on {len(hosts)} host(s), not on {count or 1}"
            )
        yield client, tuple(Node(host, host) for host in hosts[:count])


def _hosts(client: Client) -> list[str]:
    return sorted({worker["host"] for worker in workers(client).values()})


class Whereabouts:
    """Where each node's worker is, as the scheduler last said: a worker that is started anew has another address."""

    def __init__(self, client: Client, nodes: Iterable[Node]) -> None:
        self._client, self._nodes = client, tuple(nodes)
        self._at: dict[str, str] = {}
        self._here: set[str] = set()
        self._looked_at = -LOOK_S
        self._lost_at = {node.name: math.inf for node in self._nodes}

    def look(self, now: float) -> None:
        """Ask the scheduler, once a second at most; `now` by the monotonic clock."""
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at, known = now, workers(self._client)
        self._here = set(known)
        by_pin = {about[key]: address for address, about in known.items() for key in ("name", "host")}
        for node in self._nodes:
            address = by_pin.get(node.pin)
            if address is not None:
                self._at[node.name] = address
                self._lost_at[node.name] = now + (GRACE_S if known[address].get("nanny") else LOST_S)
            elif self._lost_at[node.name] == math.inf:
                self._lost_at[node.name] = now + GRACE_S

    def of(self, name: str) -> str | None:
        """The address of the node's worker; None while it has none."""
        address = self._at.get(name)
        return address if address in self._here else None

    def is_here(self, address: str) -> bool:
        """Whether a worker answers there."""
        return address in self._here

    def is_lost(self, name: str, now: float) -> bool:
        """Whether the node has been without a worker for too long."""
        return self.of(name) is None and now > self._lost_at[name]


def workers(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler says of each worker it sees now, by its address.

    Raises:
        OSError: it cannot be reached.
    """
    known: dict[str, dict[str, Any]] | None = client.scheduler_info(n_workers=ALL).get("workers")
    if known is None:  # what a closed client says
        raise ConnectionError("it cannot be reached")
    return known
