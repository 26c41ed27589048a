"""The syncs that were asked for: each a run with an id, in a thread of its own.

A call for what is under way joins it. A run that is over is remembered with what it came to, the last
`REMEMBERED` of them. Exclusions: the work is `engine.sync`'s, which shares it with other threads of this
process, and by locks with other processes; who watches is `feed`'s to tell.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fallback.engine import load_manifest, sync
from fallback.errors import FallbackError, StoppedError, StorageError
from fallback.events import RunEnded, Warned
from fallback.report import warn
from fallback.switch import finish_upgrades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fallback.broadcast import Broadcast
    from fallback.events import Event, Observer
    from fallback.manifest import Manifest
    from fallback.server.feed import Feed
    from fallback.settings import Settings

Kind = Literal["sync", "verify"]
Status = Literal["running", "stopping", "completed", "error", "paused"]

REMEMBERED = 32
AT_ONCE = 4
"""Runs of different models under way; the next one is refused."""


class TooManyRunsError(FallbackError):
    """So many runs are under way that no other may begin."""


@dataclass(slots=True)
class SyncRun:
    """A run: what was asked for, and what it has come to. Times are seconds since the epoch."""

    id: str
    kind: Kind
    models: tuple[str, ...]
    told: Broadcast
    started_at: float
    joined: int = 0
    ended_at: float | None = None
    status: Status = "running"
    error: str | None = None
    summary: dict[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def to_json(self) -> dict[str, Any]:
        """The run without its files."""
        return {
            "run": self.id,
            "kind": self.kind,
            "models": list(self.models),
            "status": "stopping" if self.ended_at is None and self.stop.is_set() else self.status,
            "started_at": _iso(self.started_at),
            "ended_at": None if self.ended_at is None else _iso(self.ended_at),
            "joined": self.joined,
            "error": self.error,
        }

    def in_full(self) -> dict[str, Any]:
        """The run with how it and each file stands, as broadcast, and its summary once it is over."""
        *files, (_, progress) = self.told.since(0)
        return self.to_json() | {
            "progress": progress,
            "files": [message for _, message in files],
            "summary": self.summary,
        }


class Runs:
    """All runs of this server; every method may be called from any thread."""

    def __init__(self, settings: Settings, feed: Feed, observer: Observer) -> None:
        self._settings, self._feed, self._observer = settings, feed, observer
        self._runs: dict[str, SyncRun] = {}
        self._lock = threading.Lock()
        self._closed = False

    def start(self, kind: Kind, models: Sequence[str] = ()) -> tuple[SyncRun, bool]:
        """A run that does this, and whether it was under way already.

        Raises:
            ConfigError: the manifest cannot be used, or has no such model.
            TooManyRunsError: `AT_ONCE` others are under way.
            StoppedError: the server is stopping.
        """
        manifest = load_manifest(self._settings)
        chosen = manifest.select(models) if models else manifest
        names = tuple(model.name for model in chosen.models)
        with self._lock:
            if self._closed:
                raise StoppedError("the server is stopping")
            under_way = [run for run in self._runs.values() if run.ended_at is None]
            for run in under_way:
                if (run.kind, run.models) == (kind, names) and not run.stop.is_set():
                    run.joined += 1
                    return run, True
            if len(under_way) >= AT_ONCE:
                raise TooManyRunsError(f"{AT_ONCE} other runs are under way; wait for one, or cancel it")
            return self._begin(kind, names, manifest), False

    def get(self, run_id: str) -> SyncRun | None:
        """The run of this id, if it is remembered."""
        return self._runs.get(run_id)

    def all(self) -> list[SyncRun]:
        """Every run that is remembered, the oldest first."""
        with self._lock:
            return list(self._runs.values())

    def close(self, patience_s: float) -> bool:
        """Stop every run and wait for them, so long at most; whether all have ended. None begins after that."""
        with self._lock:
            self._closed = True
            under_way = [run for run in self._runs.values() if run.ended_at is None]
            for run in under_way:
                run.stop.set()
        ends_at = time.monotonic() + patience_s
        for run in under_way:
            if run.thread is not None:
                run.thread.join(max(0.0, ends_at - time.monotonic()))
        return all(run.ended_at is not None for run in under_way)

    def _begin(self, kind: Kind, names: tuple[str, ...], manifest: Manifest) -> SyncRun:
        run_id = secrets.token_hex(8)
        told = self._feed.run(run_id, manifest.select(names).models)
        run = SyncRun(run_id, kind, names, told, time.time())
        over = [each.id for each in self._runs.values() if each.ended_at is not None]
        for old in over[: max(0, len(over) - REMEMBERED + 1)]:
            del self._runs[old]
        self._runs[run_id] = run
        run.thread = threading.Thread(target=self._work, args=(run,), name=f"run-{run_id}", daemon=True)
        run.thread.start()
        return run

    def _work(self, run: SyncRun) -> None:
        last: list[RunEnded] = []

        def tell(event: Event) -> None:
            # The end is told when it is true: whoever asks for a run then gets a new one.
            if isinstance(event, RunEnded):
                last.append(event)
            else:
                run.told(event)
            self._observer(event)

        status, error = self._outcome(run, tell)
        with self._lock:
            run.status, run.error, run.ended_at = status, error, time.time()
        if last and status != "error":
            run.told(last[-1])
        else:
            run.told.fail(error or "", last[-1] if last else None)

    def _outcome(self, run: SyncRun, tell: Observer) -> tuple[Status, str | None]:
        try:
            finish_upgrades(self._settings, _say)  # which may put another manifest in force
            summary = sync(
                models=run.models,
                settings=self._settings,
                observer=tell,
                stop=run.stop,
                rehash=run.kind == "verify",
            )
        except StoppedError:
            return "paused", None
        except StorageError as error:
            run.summary = error.summary.to_json() if error.summary else None
            return "error", str(error)
        except FallbackError as error:
            return "error", str(error)
        except Exception as error:  # noqa: BLE001 - a thread's mistake would be heard by nobody
            traceback.print_exc(file=sys.stderr)
            return "error", f"a mistake of this program: {type(error).__name__}"
        run.summary = summary.to_json()
        if summary.ok:
            return "completed", None
        return "error", summary.failures[0].error


def _say(event: Event) -> None:
    if isinstance(event, Warned):
        warn(event.message)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
