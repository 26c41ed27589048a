"""The metrics of this server's runs, for Prometheus: an observer that counts, and the text of what it counted.

They begin at zero with the process, as Prometheus expects; what the last hours say over all processes is
`fallback.metrics`. Labels come from the configuration and from `outcome`, never from a request. Exclusions:
how sources stand is read when it is asked for, and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from fallback.events import AttemptEnded, Blamed, CacheHit, FileCompleted, FileFailed, RunEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fallback.events import Event

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
"""Upper bounds of the histograms: from a file on this machine's network to gigabytes on a slow line."""

STATES = ("up", "cooling", "retired")
SOURCE = ("layer", "gateway")


class Prometheus:
    """Counters with a registry of their own."""

    def __init__(self, sources: Callable[[], Sequence[dict[str, Any]]], clients: Callable[[], int]) -> None:
        self._sources = sources
        self._registry = own = CollectorRegistry()
        self._attempts = Counter(
            "fallback_attempts", "Requests to sources.", [*SOURCE, "outcome"], registry=own
        )
        self._errors = Counter(
            "fallback_errors",
            "Attempts that failed, and chunks proven wrong later.",
            [*SOURCE, "type"],
            registry=own,
        )
        self._bytes = Counter("fallback_received_bytes", "Bytes of bodies.", SOURCE, registry=own)
        self._seconds = Histogram(
            "fallback_attempt_seconds", "Seconds of an attempt.", SOURCE, buckets=SECONDS, registry=own
        )
        self._file_seconds = Histogram(
            "fallback_file_seconds", "Seconds of a file that came.", ["layer"], buckets=SECONDS, registry=own
        )
        self._hits = Counter("fallback_cache_hits", "Files that were here and right.", registry=own)
        self._failed = Counter("fallback_files_failed", "Files that no source could serve.", registry=own)
        self._runs = Counter("fallback_runs", "Runs that are over.", ["status"], registry=own)
        self._given = Counter("fallback_shared_bytes", "Bytes of files given to others.", registry=own)
        self._states = Gauge(
            "fallback_source_state", "1 for the state a source is in.", [*SOURCE, "state"], registry=own
        )
        Gauge("fallback_websocket_clients", "Who watches now.", registry=own).set_function(clients)

    def __call__(self, event: Event) -> None:
        """Count `event`."""
        match event:
            case AttemptEnded(layer=layer, source=source, outcome=outcome):
                self._attempts.labels(layer, source, outcome).inc()
                self._bytes.labels(layer, source).inc(event.bytes_received)
                self._seconds.labels(layer, source).observe(event.seconds)
                if event.is_error:
                    self._errors.labels(layer, source, outcome).inc()
            case Blamed(earlier=True, layer=layer, source=source):
                self._errors.labels(layer, source, "corrupt").inc()
            case CacheHit():
                self._hits.inc()
            case FileCompleted(layer=layer, seconds=seconds):
                self._file_seconds.labels(layer).observe(seconds)
            case FileFailed():
                self._failed.inc()
            case RunEnded(failed=failed, stopped=stopped):
                self._runs.labels("paused" if stopped else "error" if failed else "completed").inc()
            case _:
                pass

    def gave(self, count: int) -> None:
        """So many bytes of a file have gone to another machine."""
        self._given.inc(count)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        for source in self._sources():
            for state in STATES:
                value = float(source["state"] == state)
                self._states.labels(source["layer"], source["source"], state).set(value)
        return generate_latest(self._registry)
