"""What a node's process keeps between two tasks: the server that shares its files, and what ends them all.

Exclusions: what may be shared, and how, is the server's (`server`, `share`); which process this is, is the
scheduler's to say.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fallback.errors import FallbackError
from fallback.fleet.warming import settings_of, warm_node
from fallback.server.background import Background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fallback.events import Event, Observer

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
    no `serve_token` is set here. A node that cannot share, as its port is taken, is warmed all the same: its
    report has no `url`, and says in `unshared` why.
    """
    shown = {"share": True, "share_token": token, "peer_token": token, "serve_host": host, "serve_port": port}
    stop, background, unshared = threading.Event(), None, ""
    with _LOCK:
        _STOPS.add(stop)

    def tell(event: Event) -> None:
        if background is not None:
            background.observer(event)
        observer(event)

    try:
        try:
            background = _shared({**shown, **overrides}, token)
        except FallbackError as error:
            unshared = str(error)
        told = warm_node(
            {**shown, **overrides}, peers=peers, manifest=manifest, node=node, observer=tell, stop=stop
        )
    finally:
        with _LOCK:
            _STOPS.discard(stop)
    if not told["ok"]:
        return {**told, "url": "", "unshared": ""}
    return {**told, "url": background.url if background else "", "unshared": unshared}


def end_all() -> None:
    """End every sync of this process, which keeps what has come, and share no more."""
    with _LOCK:
        stops, shared = list(_STOPS), list(_SHARED.values())
        _SHARED.clear()
    for stop in stops:
        stop.set()
    for each in shared:
        each.close()


def _shared(shown: Mapping[str, Any], token: str) -> Background:
    """The server of the models folder that these settings name; `token` is asked for where none is set.

    Raises:
        SettingsError: its address cannot be had, or a setting is wrong.
        FallbackError: it did not start.
    """
    settings = settings_of(shown)
    if settings.serve_token is None:
        settings = settings_of({"serve_token": token, **shown})
    with _LOCK:
        if settings.models_dir not in _SHARED:
            _SHARED[settings.models_dir] = Background(settings)
        return _SHARED[settings.models_dir]
