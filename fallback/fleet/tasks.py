"""What Dask runs on a node: `sharing`'s function, told where it is and to whom it may say how far it has come.

Exclusions: what is asked of a node, and when (`driving`, `waves`).
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distributed import get_worker

from fallback.events import FileCompleted, Progressed
from fallback.fleet import sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fallback.events import Event, Observer
    from fallback.fleet.cluster import Node

TELL_S = 0.5
TOPIC = "fallback-fleet"


@dataclass(frozen=True, slots=True)
class Task:
    """What every node is to do: `overrides` are settings by name, `manifest` is its JSON."""

    manifest: str
    overrides: Mapping[str, Any]
    port: int = 0
    token: str = field(default="", repr=False)  # Dask logs what a task that fails was called with

    def on(self, node: Node) -> Mapping[str, Any]:
        """The settings of one node."""
        return {**self.overrides, **node.overrides}


def work(overrides: Mapping[str, Any], peers: Sequence[str], task: Task, node: str) -> dict[str, Any]:
    """What Dask runs on a node: the report of `warm_node`, with the `worker` that ran it and now shares."""
    worker = get_worker()
    host = urlsplit(worker.address).hostname or "127.0.0.1"
    told = sharing.warm_and_share(
        overrides,
        peers,
        host=socket.gethostbyname(host) if ":" not in host else host,
        port=task.port,
        token=task.token,
        manifest=task.manifest,
        node=node,
        observer=_progress(node, worker.log_event),
    )
    return {**told, "worker": worker.address}


def _progress(node: str, log: Callable[[str, Any], None]) -> Observer:
    """Tells the fleet now and then how many bytes of files have come."""
    files: dict[str, int] = {}
    told_at = 0.0

    def tell(event: Event) -> None:
        nonlocal told_at
        if isinstance(event, Progressed):
            files[f"{event.model}/{event.path}"] = event.downloaded
        elif isinstance(event, FileCompleted):
            files[f"{event.model}/{event.path}"] = event.size
        if files and time.monotonic() - told_at > TELL_S:
            told_at = time.monotonic()
            log(TOPIC, {"node": node, "done": sum(files.values())})

    return tell
