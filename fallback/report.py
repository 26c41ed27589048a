"""Questions about a models folder that need no network: what is here, who would be asked, what went on.

The answers are plain data for the command line and the server. Exclusions: nothing here makes or
changes a file of the models folder; only `forget` and `metrics_report(…, "reset")` change the state.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fallback import metrics
from fallback.cache import Cache
from fallback.clock import Clock
from fallback.engine import METRICS_COPY, load_manifest
from fallback.errors import SettingsError, StorageError
from fallback.exchange import host_of
from fallback.health import Banned, Cooling, Health, Retired, carried
from fallback.revalidate import known_versions
from fallback.sources import IpfsGateway, in_order
from fallback.state import remembered
from fallback.wanted import Wanted, ipfs_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from fallback.settings import Settings
    from fallback.state import State


@dataclass(frozen=True, slots=True)
class Planned:
    """What a sync would do about one file: nothing if it is `here`, else ask `urls` in this order."""

    model: str
    path: str
    size: int | None
    here: bool
    urls: tuple[str, ...]


def preview(settings: Settings, models: Sequence[str] = ()) -> list[Planned]:
    """What `sync` would do, file by file; nothing is requested, written or hashed."""
    sources = () if settings.offline else in_order(settings)
    planned = []
    for wanted, cache, _state in _files(settings, models):
        here = cache.known(wanted)
        requests = (source.request(wanted) for source in sources)
        urls = () if here else tuple(request.url for request in requests if request is not None)
        planned.append(Planned(wanted.model.name, wanted.file.path, wanted.file.size, here, urls))
    return planned


def sources(settings: Settings) -> list[dict[str, Any]]:
    """Each source in the order it would be tried: layer, host, health and why, `state` (up, cooling, retired)."""
    now = Clock().now()
    with _state(settings) as state:
        known = {
            name: carried(health, now, settings.max_wait_s) for name, health in state.health.load().items()
        }
    return [
        {
            "layer": source.layer,
            "source": source.name,
            "health": _said(health := known.get(source.name, Health()), now),
            "state": _NAMES.get(type(health.state(now)), "up"),
            "reason": health.reason,
        }
        for source in in_order(settings)
    ]


def forget(settings: Settings, hosts: Sequence[str]) -> list[str]:
    """Forget what is known of these hosts (or URLs); those nothing was known of.

    Raises:
        SettingsError: one of them is not a URL, though it looks like one; nothing was forgotten.
    """
    try:
        names = {host: _names(host) for host in hosts}
    except ValueError:
        raise SettingsError("what is to be forgotten must be a host, or a URL with one") from None
    with _state(settings) as state:
        known = {host: [state.health.forget(name) for name in each] for host, each in names.items()}
    return [names[host][0] for host, found in known.items() if not any(found)]


def _names(host: str) -> list[str]:
    """What the source may be called: by its host, and a gateway by the path below it, too."""
    if "://" not in host:
        return [host.lower(), host]
    return list(dict.fromkeys((host_of(host), IpfsGateway(host.rstrip("/")).name)))


def settings_report(settings: Settings) -> dict[str, tuple[Any, str]]:
    """Each setting's value, and where it was set; a secret only as set or not."""
    report = {}
    for field in dataclasses.fields(settings):
        if field.name == "origins":
            continue
        value = getattr(settings, field.name)
        shown = ("set" if value else "not set") if not field.repr else value
        shown = list(map(str, shown)) if isinstance(shown, tuple) else shown
        plain = shown if isinstance(shown, int | float | list | None) else str(shown)
        report[field.name] = (plain, settings.origins.get(field.name, "given"))
    return report


def status(settings: Settings) -> dict[str, Any]:
    """Each file's state (present, unverified, missing), when it was proven, each model's version, the last error."""
    files = []
    manifest = load_manifest(settings)
    for wanted, cache, state in _files(settings, ()):
        row = state.verified.get(cache.key(wanted))
        known = cache.known(wanted)
        exists = cache.target(wanted).is_file()
        files.append(
            {
                "model": wanted.model.name,
                "path": wanted.file.path,
                "size": wanted.file.size,
                "state": "present" if known else "unverified" if exists else "missing",
                "verified_at": _iso(row.verified_at) if known and row else None,
                "layer": row.layer if known and row else "",
                "source": row.source if known and row else "",
            }
        )
    with _state(settings) as state:
        since = Clock().now() - settings.metrics_retention_h * 3600
        errors = [record for record in metrics.records(state.attempts, since) if record["error_type"]]
    return {
        "manifest": manifest.name,
        "models_dir": str(settings.models_dir),
        "files": files,
        "models": [version.to_json() for version in known_versions(settings, warn)],
        "last_error": errors[-1] if errors else None,
    }


def downloads(settings: Settings) -> list[dict[str, Any]]:
    """The rows of `ipfs_downloads` that are kept, oldest first; times in seconds since the epoch."""
    with _state(settings) as state:
        return [dataclasses.asdict(row) for row in state.downloads.newest()]


def metrics_report(settings: Settings, what: str) -> Any:
    """`records`, `summary`, `health` or `history` of the retention's hours; `reset` deletes them."""
    now = Clock().now()
    with _state(settings) as state:
        if what == "reset":
            state.attempts.clear()
        records = metrics.records(state.attempts, now - settings.metrics_retention_h * 3600)
        if what == "reset":
            return _reset(settings, records)
    match what:
        case "records":
            return {"metrics": records}
        case "summary":
            return metrics.summary(records)
        case "history":
            return metrics.history(records, now)
        case _:
            return metrics.health(records)


def _reset(settings: Settings, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether nothing is left, in the copy either."""
    copy = settings.models_dir / METRICS_COPY
    try:
        if copy.exists():
            metrics.write_copy(copy, records)
    except OSError as error:
        raise StorageError.from_os(error, copy) from error
    if records:
        raise StorageError(settings.state_path, "the metrics could not be reset")
    return {"ok": True, "message": "metrics were reset"}


def _files(settings: Settings, models: Sequence[str]) -> Iterator[tuple[Wanted, Cache, State]]:
    manifest = load_manifest(settings)
    manifest = manifest.select(models) if models else manifest
    with _state(settings) as state:
        cache = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        for model, file in manifest.files():
            cid = ipfs_path(model, file, state.cids.newest(model.name, model.type))
            yield Wanted(model, file, cid), cache, state


def _state(settings: Settings) -> AbstractContextManager[State]:
    return remembered(settings.state_path, warn)


_NAMES = {Retired: "retired", Cooling: "cooling"}


def _said(health: Health, now: float) -> str:
    match health.state(now):
        case Retired(reason=reason):
            return f"retired: {reason}"
        case Cooling(until=until, reason=reason):
            return f"cooling for {until - now:.0f} s: {reason}"
        case Banned():
            return "banned"
        case _:
            bans = sum(until > now for until in health.bans.values())
            return f"up, not believed for {bans} file(s): {health.reason}" if bans else "up"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def warn(message: str) -> None:
    """On stderr: a question has no observer to tell."""
    sys.stderr.write(f"warning: {message}\n")
