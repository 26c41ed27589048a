"""What a node's process keeps between two tasks: the server that shares its files, and what ends them all.

Exclusions: what may be shared, and how, is the server's (`server`, `share`); which process this is, is the
scheduler's to say.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fallback.fleet.warming import settings_of, warm_node
from fallback.server.background import Background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fallback.events import Event, Observer
    from fallback.settings import Settings

_SHARED: dict[Path, Background] = {}
_STOPS: set[threading.Event] = set()
_LOCK = threading.Lock()


def warm_and_share(
    overrides: Mapping[str, Any],
    peers: Sequence[str],
    *,
    host: str,
    port: int,
    token: str,
    manifest: str,
    node: str,
    observer: Observer,
) -> dict[str, Any]:
    """`warm_node`, and from then on, if it has all, others get the files at its report's `url`.

    `token` is what this node shows its peers, and others must show it; also for `/metrics` and the rest, if
    no `serve_token` is set here.

    Raises:
        FallbackError: it cannot share, as an address that cannot be had; nothing was fetched.
    """
    shown = {"share": True, "share_token": token, "peer_token": token, "serve_host": host, "serve_port": port}
    settings = settings_of({**shown, **overrides})
    if settings.serve_token is None:
        settings = settings_of({"serve_token": token, **shown, **overrides})
    stop = threading.Event()
    background = _shared(settings, stop)

    def tell(event: Event) -> None:
        background.observer(event)
        observer(event)

    try:
        told = warm_node(
            {**shown, **overrides}, peers=peers, manifest=manifest, node=node, observer=tell, stop=stop
        )
    finally:
        with _LOCK:
            _STOPS.discard(stop)
    return {**told, "url": background.url if told["ok"] else ""}


def end_all() -> None:
    """End every sync of this process, which keeps what has come, and share no more."""
    with _LOCK:
        stops, shared = list(_STOPS), list(_SHARED.values())
        _SHARED.clear()
    for stop in stops:
        stop.set()
    for each in shared:
        each.close()


def _shared(settings: Settings, stop: threading.Event) -> Background:
    with _LOCK:
        _STOPS.add(stop)
        if settings.models_dir not in _SHARED:
            _SHARED[settings.models_dir] = Background(settings)
        return _SHARED[settings.models_dir]
