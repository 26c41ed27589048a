"""What the attempts table says: records, summary, health per layer; and the observer that fills it.

The shapes are DESIGN.md's ("Compatible"). A latency average is over successes: a timeout says how
patient we are, not how fast a source is. Exclusions: nothing here decides which source is asked
(that is `fallback.health`), and no record is needed to get a file (P11).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fallback import durable
from fallback.facts import CacheHit, FileEvent
from fallback.state.attempts import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fallback.facts import Event
    from fallback.state.attempts import Attempts

MESSAGE_CHARS = 1000
"""The longest message kept: forty sources' reasons, and not a megabyte somebody sent."""

LAST = 10
"""How many attempts speak for a layer: one success among them, and it is healthy."""

LAYERS = ("ipfs", "huggingface")
"""Always told of."""

OTHERS = ("peer", "bundle", "mirror")
"""Told of when one was asked."""

HOURS = 24
"""How far back a history goes."""

ERRORS = 20
"""How many errors it names."""


def records(attempts: Attempts, since: float) -> list[dict[str, Any]]:
    """The records from `since` on, oldest first, as the original's readers know them."""
    return [record._asdict() | {"timestamp": _iso(record.timestamp)} for record in attempts.since(since)]


def summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of what, per layer and per gateway."""
    gateways = _grouped((r for r in records if r["layer"] == "ipfs"), "gateway")
    peers = _grouped((r for r in records if r["layer"] == "peer"), "gateway")
    return {
        "total": len(records),
        "cache_hits": sum(r["status"] == "hit" for r in records),
        **{layer: _counts(of_layer) for layer, of_layer in _by_layer(records).items()},
        "gateways": {host: _counts(of_host) for host, of_host in gateways.items()},
        **({"peers": {host: _counts(of_host) for host, of_host in peers.items()}} if peers else {}),
    }


def health(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How each layer does, by `records`, oldest first."""
    hits = sum(r["status"] == "hit" for r in records)
    # A file ends in one of these three; an attempt that failed is not a file the cache lacked.
    files = sum(r["status"] in {"hit", "success", "all_layers_exhausted"} for r in records)
    layers = {layer: _layer_health(of_layer) for layer, of_layer in _by_layer(records).items()}
    return {"cache": {"hit_rate": _rate(hits, files)}, **layers}


def history(records: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any]:
    """The last `HOURS` hours of the clock, oldest first, each layer's counts in them, and the newest errors.

    `{hours: [start], layers: {layer: {success, error, avg_latency, hours: [{success, error, avg_latency}]}},
    errors: [record]}`; `records` oldest first, `errors` newest first, times in ISO 8601, UTC.
    """
    newest = int(now // 3600)
    starts = [_iso(3600 * hour) for hour in range(newest - HOURS + 1, newest + 1)]
    by_hour: dict[str, list[Mapping[str, Any]]] = {_hour(start): [] for start in starts}
    for record in records:
        by_hour.get(_hour(record["timestamp"]), []).append(record)
    layers = {
        layer: {**_counts(of_layer), "hours": [_counts(_of(layer, each)) for each in by_hour.values()]}
        for layer, of_layer in _by_layer([record for each in by_hour.values() for record in each]).items()
    }
    errors = [record for record in reversed(records) if record["error_type"]]
    return {"hours": starts, "layers": layers, "errors": errors[:ERRORS]}


class Recorder:
    """An observer that keeps what ended; `model_types` gives a model's type by its name."""

    def __init__(self, attempts: Attempts, model_types: Mapping[str, str], now: Callable[[], float]) -> None:
        self._attempts, self._model_types, self._now = attempts, model_types, now

    def __call__(self, event: Event) -> None:
        """Keep `event` if it is the end of something."""
        if isinstance(event, CacheHit):
            self._add(event, layer="cache", status="hit", bytes_total=event.size)
        elif isinstance(event, FileEvent):
            self._add_if_ended(event)

    def _add_if_ended(self, event: FileEvent) -> None:
        from fallback.events import AttemptEnded, Blamed, FileFailed  # noqa: PLC0415 - as `facts` says

        match event:
            case AttemptEnded(outcome="storage"):
                pass  # this machine's disk: no source is to answer for it
            case AttemptEnded(outcome="outrun", bytes_received=0):
                pass  # another was faster, which says nothing of this one
            case AttemptEnded(outcome=outcome):
                self._add(
                    event,
                    layer=event.layer,
                    gateway=event.source,
                    status="success" if event.ok else "error",
                    seconds=event.seconds,
                    bytes_downloaded=event.bytes_received,
                    bytes_total=event.bytes_total,
                    error=None if event.ok else (outcome, event.reason),
                )
            case Blamed(earlier=True):
                error = "corrupt", f"{event.chunks} chunks it had sent were proven wrong"
                self._add(event, layer=event.layer, gateway=event.source, status="error", error=error)
            case FileFailed(error=message):
                # Without reasons no source was at fault: this machine's disk, or nobody to ask
                kind = "unavailable" if event.reasons else "failed"
                self._add(event, status="all_layers_exhausted", seconds=event.seconds, error=(kind, message))
            case _:
                pass

    def _add(
        self,
        event: FileEvent,
        *,
        status: str,
        layer: str | None = None,
        gateway: str | None = None,
        seconds: float = 0.0,
        bytes_downloaded: int = 0,
        bytes_total: int | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        record = Record(
            timestamp=self._now(),
            model=event.model,
            modelType=self._model_types.get(event.model, "unknown"),
            file=event.path,
            layer=layer,
            gateway=gateway,
            status=status,
            latency_ms=round(seconds * 1000, 3),
            bytes_downloaded=bytes_downloaded,
            bytes_total=bytes_total,
            error_type=error[0] if error else None,
            error_message=error[1][:MESSAGE_CHARS] if error else None,
        )
        self._attempts.add(record)


def write_copy(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Put `records` into `path` as JSON; whoever reads it sees the old copy or the new one.

    The disk is not waited for, as it would be for nearly all of a warm run: a copy that a power cut took is made
    anew by the next run.

    Raises:
        OSError: The folder cannot be written; the old copy stands, and no other file is left.
    """
    # A record a line: with `indent` the encoder is Python's own, and a long list takes seconds.
    lines = ",\n".join(json.dumps(dict(each)) for each in records)
    with durable.replacing(path, lasting=False) as stream:
        stream.write((f"[\n{lines}\n]\n" if lines else "[]\n").encode())


def _iso(timestamp: float) -> str:
    # With Z, as JavaScript's toISOString writes it
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hour(timestamp: str) -> str:
    return timestamp[: len("2026-01-31T23")]


def _of(layer: str, records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [record for record in records if record["layer"] == layer]


def _by_layer(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    seen = _grouped((r for r in records if r["layer"] in {*LAYERS, *OTHERS}), "layer")
    return {layer: seen.get(layer, []) for layer in (*LAYERS, *(each for each in OTHERS if each in seen))}


def _grouped(records: Iterable[Mapping[str, Any]], key: str) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(str(record[key]), []).append(record)
    return groups


def _counts(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "success": sum(r["status"] == "success" for r in records),
        "error": sum(r["status"] == "error" for r in records),
        "avg_latency": _average(records),
    }


def _layer_health(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    succeeded = [r["status"] == "success" for r in records]
    status = "unknown" if not records else "healthy" if any(succeeded[-LAST:]) else "degraded"
    return {
        "status": status,
        "success_rate": _rate(sum(succeeded), len(succeeded)),
        "avg_latency_ms": _average(records),
    }


def _average(records: Sequence[Mapping[str, Any]]) -> float:
    latencies = [r["latency_ms"] for r in records if r["status"] == "success"]
    return round(sum(latencies) / len(latencies), 3) if latencies else 0.0


def _rate(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
