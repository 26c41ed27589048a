"""The nodes that a Dask scheduler knows of: one a host; or processes on this machine, as if each were a node.

Exclusions: what is done on them (`driving`). Only this and `driving` know Dask.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

from fallback.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONNECT_S = 10.0
LOOK_S = 0.2
ALL = -1
"""All workers, not the few that a person wants to read of."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, or what stands for one: `pin` is what Dask calls its workers, `overrides` are its own settings."""

    name: str
    pin: str | int
    overrides: Mapping[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def local(count: int, folder: Path) -> Iterator[tuple[Client, tuple[Node, ...]]]:
    """So many processes on this machine, each with a models folder of its own below `folder`."""
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
        client.wait_for_workers(count, timeout=CONNECT_S + count)
        nodes = (
            Node(f"node-{place}", place, {"models_dir": str(folder / f"node-{place}")})
            for place in range(count)
        )
        yield client, tuple(nodes)


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
            time.sleep(LOOK_S)  # workers that were started a moment ago
        if len(hosts) < (count or 1):
            raise SettingsError(
                f"scheduler {scheduler}: it has workers on {len(hosts)} host(s), not on {count or 1}"
            )
        yield client, tuple(Node(host, host) for host in hosts[:count])


def _hosts(client: Client) -> list[str]:
    return sorted({worker["host"] for worker in workers(client).values()})


def workers(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler says of each worker it sees now, by its address."""
    known: dict[str, dict[str, Any]] = client.scheduler_info(n_workers=ALL)["workers"]
    return known
