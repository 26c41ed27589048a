"""What a client tells of its work: events as JSON lines, and metrics."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from .schema import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .stage import Run, Stage

Lines = list[dict[str, Any]]


def events(stage: Stage) -> None:
    """One run, told; the case names what its lines must be like."""
    path = stage.sandbox / "events.jsonl"
    run = stage.run(stage.make_job(events=str(path), hub_token=stage.case.world.get("token")))
    stage.judge(run)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    stage.demand(text, "there are no events")
    lines: Lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        with contextlib.suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, dict):
                lines.append(document)
                continue
        stage.demand(False, f"line {number} of the events is no JSON object")  # noqa: FBT003 - a plain statement
    stage.problems += _EVENTS[stage.case.given["check"]](stage, run, lines)


def _schema(_: Stage, __: Run, lines: Lines) -> Iterable[str]:
    return [problem for line in lines for problem in problems_of("events", line)]


def _success(_: Stage, __: Run, lines: Lines) -> Iterable[str]:
    told = _statuses(lines)
    if told[:1] != ["attempting"] or told[-1:] != ["success"] or told.count("success") != 1:
        yield f"told: {' '.join(dict.fromkeys(told))}; expected attempting first, and success once, at the end"


def _hit(_: Stage, __: Run, lines: Lines) -> Iterable[str]:
    told = [(line.get("layer"), line["status"]) for line in lines if "status" in line]
    if told != [("cache", "hit")]:
        yield f"told: {told}; expected a hit of the cache and nothing else"


def _progress(_: Stage, run: Run, lines: Lines) -> Iterable[str]:
    size, last = run.job["files"][0]["size"], 0
    moving = [line for line in lines if line.get("status") == "downloading"]
    if len(moving) < 2:
        yield f"{len(moving)} lines of progress in {run.seconds:.1f} s"
    for line in moving:
        if not last <= line["downloaded"] <= line["total"] == size:
            yield f"downloaded {line['downloaded']} of {line['total']} after {last}"
        if not 0 <= line["percent"] <= 100:
            yield f"{line['percent']} percent"
        last = line["downloaded"]


def _gateways(_: Stage, run: Run, lines: Lines) -> Iterable[str]:
    told = [line.get("gateway", "") for line in lines if line.get("status") == "attempting"]
    asked = [entry.headers.get("host", "") for entry in run.asked()]
    if len(told) != len(asked) or any(host not in gateway for host, gateway in zip(asked, told, strict=True)):
        yield f"told of {', '.join(told)}; asked were {', '.join(asked)}"


def _error(_: Stage, __: Run, lines: Lines) -> Iterable[str]:
    told = _statuses(lines)
    if "success" in told:
        yield "success was told of a file that nobody has"
    if told[-1:] != ["error"]:
        yield f"the last status is {told[-1:]}, and not an error"


def _hub(_: Stage, __: Run, lines: Lines) -> Iterable[str]:
    told = [line.get("layer") for line in lines if line.get("status") == "success"]
    if told != ["huggingface"]:
        yield f"success of {told}; expected huggingface"


def _speed(stage: Stage, __: Run, lines: Lines) -> Iterable[str]:
    true = stage.case.rules[0].fault.to_dict()["bytes_per_s"]
    moving = [line for line in lines if line.get("status") == "downloading"]
    speeds = [line["speed"] for line in moving if line.get("speed")]
    if not speeds or not true / 3 <= speeds[len(speeds) // 2] <= true * 3:
        yield f"speeds told: {speeds[:5]}; the network gives {true:.0f} bytes/s"
    if any(line.get("eta") is not None and line["eta"] < 0 for line in moving):
        yield "an eta below zero"


def _secret(stage: Stage, run: Run, lines: Lines) -> Iterable[str]:
    token = stage.case.world["token"]
    printed = "".join(
        path.read_text(errors="replace") for path in map(run.output.joinpath, ("stdout", "stderr"))
    )
    if token in json.dumps(lines) or token in printed:
        yield "the token is in what the client tells or prints"


def _statuses(lines: Lines) -> list[str]:
    return [line["status"] for line in lines if "status" in line]


_EVENTS: dict[str, Callable[[Stage, Run, Lines], Iterable[str]]] = {
    "schema": _schema,
    "success": _success,
    "hit": _hit,
    "progress": _progress,
    "gateways": _gateways,
    "error": _error,
    "hub": _hub,
    "speed": _speed,
    "secret": _secret,
}


def metrics(stage: Stage) -> None:
    """One run, then what the client's metrics say of it."""
    path = stage.sandbox / "metrics.json"
    run = stage.run(stage.make_job(metrics=str(path)))
    stage.judge(run)
    stage.demand(path.exists(), "there are no metrics")
    document = json.loads(path.read_text()) if path.exists() else {"records": [], "summary": {}}
    stage.problems += problems_of("metrics", document)
    records: Lines = document["records"]
    stage.problems += _METRICS[stage.case.given["check"]](run, records, document["summary"])


def _record(records: Lines, status: str, **fields: object) -> Iterable[str]:
    """One record of that status has these fields."""
    found = [record for record in records if record["status"] == status]
    if not any(all(record.get(name) == value for name, value in fields.items()) for record in found):
        yield f"no record of {status} with {fields}: {found or records}"


def _record_success(run: Run, records: Lines, _: dict[str, Any]) -> Iterable[str]:
    host, size = run.asked()[0].headers["host"], run.job["files"][0]["size"]
    yield from _record(
        records, "success", layer="ipfs", gateway=host, bytes_downloaded=size, bytes_total=size
    )
    for record in records:
        dt.datetime.fromisoformat(record["timestamp"])
        if record["status"] == "success" and not 0 < record["latency_ms"] <= run.seconds * 1000:
            yield f"a latency of {record['latency_ms']} ms in a run of {run.seconds:.2f} s"


def _record_hit(_: Run, records: Lines, __: dict[str, Any]) -> Iterable[str]:
    return _record(records, "hit", layer="cache")


def _record_error(run: Run, records: Lines, _: dict[str, Any]) -> Iterable[str]:
    for status, entry in zip(("error", "success"), run.asked(), strict=False):
        yield from _record(records, status, layer="ipfs", gateway=entry.headers["host"])


def _record_exhausted(_: Run, records: Lines, __: dict[str, Any]) -> Iterable[str]:
    return _record(records, "all_layers_exhausted")


def _summary(_: Run, records: Lines, summary: dict[str, Any]) -> Iterable[str]:
    told = Counter(record["status"] for record in records if record["layer"] == "ipfs")
    counted = {name: summary.get("ipfs", {}).get(name) for name in ("success", "error")}
    if counted != {name: told[name] for name in counted} or summary.get("total") != len(records):
        yield f"the summary says {counted} of {summary.get('total')}; the records {dict(told)} of {len(records)}"


_METRICS: dict[str, Callable[[Run, Lines, dict[str, Any]], Iterable[str]]] = {
    "success": _record_success,
    "hit": _record_hit,
    "error": _record_error,
    "exhausted": _record_exhausted,
    "summary": _summary,
}
