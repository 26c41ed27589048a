"""What one node does: makes its models folder match a manifest, asks its peers first, and says what came of it.

A plain function of plain data, so that Dask, Ray, Slurm, a Kubernetes Job or a shell can call it. Exclusions:
which peers those are is the caller's to know (`waves`), and sharing is another's (`sharing`); no failure of a
sync leaves as an exception.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from fallback.cache import Cache
from fallback.engine import sync
from fallback.errors import ConfigError, FallbackError, StoppedError, StorageError
from fallback.fleet.report import NodeReport, Tally
from fallback.manifest import Manifest
from fallback.settings import Settings
from fallback.state import remembered
from fallback.switch import finish_upgrades
from fallback.wanted import Wanted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from fallback.events import Event, Observer
    from fallback.fleet.report import Problem
    from fallback.results import Summary


def warm_node(
    overrides: Mapping[str, Any] | None = None,
    *,
    peers: Sequence[str] = (),
    manifest: str | None = None,
    models: Sequence[str] = (),
    node: str = "",
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Have every file of the manifest on this machine, from `peers` first; what came of it, as JSON.

    Args:
        overrides: settings by name, as text or plain values; the others come from this machine's
            environment, its fallback.toml and the defaults.
        peers: URLs of servers that share what they have (`fallback serve --share`), in order.
        manifest: a manifest's JSON; None for the one in force here.
        models: names of models in it; none means all.
        node: what the report calls this machine; else its host name.
        observer: gets every event, from worker threads, one at a time.
        stop: set it from anywhere to end this.

    Returns:
        `NodeReport.to_json`: `ok`, `problem` (unavailable, storage, config, stopped or none), `error`, `files`,
        `failed`, `bytes_by_layer`, `outside_bytes`, `peer_bytes`, `liars`, `seconds`.
    """
    began, tally = time.monotonic(), Tally()

    def work() -> Summary:
        settings = settings_of(overrides or {}, peers)
        tell = _both(tally, observer)
        finish_upgrades(settings, tell)
        given = None if manifest is None else parsed(manifest, settings)
        return sync(given, models=models, settings=settings, observer=tell, stop=stop)

    problem, error, summary = _outcome(work)
    return NodeReport(
        node=node or socket.gethostname(),
        problem=problem,
        error=error,
        files=len(summary.files) if summary else 0,
        failed=len(summary.failures) if summary else 0,
        bytes_by_layer=tally.bytes_by_layer,
        liars=tuple(sorted(tally.liars)),
        seconds=round(time.monotonic() - began, 3),
    ).to_json()


def settings_of(overrides: Mapping[str, Any], peers: Sequence[str] = ()) -> Settings:
    """The settings of this machine, with these instead of its own.

    Who has peers makes one connection a file (`connections`), unless told otherwise: a further one may go to
    whoever comes behind the peers, and so outside.

    Raises:
        SettingsError: one of them cannot be used.
    """
    return Settings.load({"connections": 1, **overrides, "peers": tuple(peers)} if peers else dict(overrides))


def has_all(overrides: Mapping[str, Any], manifest: str) -> bool:
    """Whether every file of the manifest's JSON is here and vouched for; nothing is hashed or requested.

    Raises:
        ConfigError: the settings or the manifest cannot be used.
    """
    settings = settings_of(overrides)
    wanted = [Wanted(model, file) for model, file in parsed(manifest, settings).files()]
    with remembered(settings.state_path, lambda _message: None) as state:
        cache = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        return all(map(cache.known, wanted))


def parsed(document: str, settings: Settings) -> Manifest:
    """The manifest that somebody sent; ManifestError if it cannot be used here."""
    may_miss = settings.unsafe_allow_missing_sha256
    return Manifest.parse(document, name="of the fleet", allow_missing_sha256=may_miss)


def _outcome(work: Callable[[], Summary]) -> tuple[Problem, str, Summary | None]:
    """What it came to: the kind of problem, what is said of it, and the summary as far as there is one."""
    try:
        summary = work()
    except StorageError as error:
        return "storage", str(error), error.summary
    except ConfigError as error:
        return "config", str(error), None
    except StoppedError as error:
        return "stopped", str(error), None
    except FallbackError as error:
        return "unavailable", str(error), None
    if summary.failures:
        return "unavailable", summary.failures[0].error, summary
    return "", "", summary


def _both(tally: Tally, observer: Observer | None) -> Observer:
    def tell(event: Event) -> None:
        tally(event)
        if observer is not None:
            observer(event)

    return tell
