import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback import metrics
from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    CacheHit,
    Event,
    FileCompleted,
    FileFailed,
    RunEnded,
    Warned,
)
from fallback.state import State

NOW = 1_700_000_000.25


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state", pytest.fail) as opened:
        yield opened


def ended(outcome: str, seconds: float = 0.5) -> AttemptEnded:
    return AttemptEnded("tts", "a.onnx", "ipfs", "dweb.link", 1, outcome, f"why {outcome}", 7, 10, seconds)


def entry(
    status: str, layer: str | None = "ipfs", gateway: str | None = "g", ms: float = 10
) -> dict[str, Any]:
    return {"status": status, "layer": layer, "gateway": gateway, "latency_ms": ms}


def told(state: State, *events: Event) -> list[dict[str, Any]]:
    recorder = metrics.Recorder(state.attempts, {"tts": "voice"}, lambda: NOW)
    for event in events:
        recorder(event)
    return metrics.records(state.attempts, 0.0)


def test_a_history_counts_by_layer_and_hour_and_names_the_newest_errors() -> None:
    """What is older than a day, or of a time to come, counts nowhere; a layer that was not asked has its hours, too."""

    def at(hours: float, status: str, layer: str, ms: float = 10, error: str | None = None) -> dict[str, Any]:
        record = entry(status, layer, ms=ms) | {"error_type": error}
        return record | {"timestamp": metrics._iso(NOW - 3600 * hours)}

    old = at(24, "error", "ipfs", error="not_here")
    earlier = [at(23, "success", "ipfs", 30), at(2, "error", "ipfs", error="corrupt")]
    now = [at(0, "success", "ipfs", 10), at(0, "success", "ipfs", 30), at(0, "hit", "cache")]
    to_come = at(-1, "success", "ipfs")
    told = metrics.history([old, *earlier, *now, to_come], NOW)
    ipfs, none = told["layers"]["ipfs"], {"success": 0, "error": 0, "avg_latency": 0.0}
    assert (told["hours"][0], told["hours"][-1]) == ("2023-11-13T23:00:00.000Z", "2023-11-14T22:00:00.000Z")
    assert {key: ipfs[key] for key in none} == {"success": 3, "error": 1, "avg_latency": 23.333}
    assert ipfs["hours"][0] == {"success": 1, "error": 0, "avg_latency": 30.0}
    assert ipfs["hours"][-3] == {"success": 0, "error": 1, "avg_latency": 0.0}
    assert ipfs["hours"][-1] == {"success": 2, "error": 0, "avg_latency": 20.0}
    assert told["layers"]["huggingface"] == none | {"hours": [none] * 24}
    assert set(told["layers"]) == {"ipfs", "huggingface"}
    assert told["errors"] == [earlier[1], old]
    assert len(metrics.history([old] * 50, NOW)["errors"]) == metrics.ERRORS


BASE = {
    "timestamp": "2023-11-14T22:13:20.250Z",
    "model": "tts",
    "modelType": "voice",
    "file": "a.onnx",
    "layer": None,
    "gateway": None,
    "latency_ms": 0.0,
    "bytes_downloaded": 0,
    "bytes_total": None,
    "error_type": None,
    "error_message": None,
}
ATTEMPT = {
    "layer": "ipfs",
    "gateway": "dweb.link",
    "latency_ms": 500.0,
    "bytes_downloaded": 7,
    "bytes_total": 10,
}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (CacheHit("tts", "a.onnx", 10), {"layer": "cache", "status": "hit", "bytes_total": 10}),
        (ended("delivered"), ATTEMPT | {"status": "success"}),
        (
            ended("throttled"),
            ATTEMPT | {"status": "error", "error_type": "throttled", "error_message": "why throttled"},
        ),
        (ended("outrun"), ATTEMPT | {"status": "success"}),
        (
            FileFailed("tts", "a.onnx", "all down", 3, 2.0, (("dweb.link", "refused"),)),
            {
                "status": "all_layers_exhausted",
                "latency_ms": 2000.0,
                "error_type": "unavailable",
                "error_message": "all down",
            },
        ),
        (
            FileFailed("tts", "a.onnx", "disk full", 1, 2.0),
            {
                "status": "all_layers_exhausted",
                "latency_ms": 2000.0,
                "error_type": "failed",
                "error_message": "disk full",
            },
        ),
    ],
)
def test_an_end_becomes_a_record(state: State, event: Event, expected: dict[str, Any]) -> None:
    assert told(state, event) == [BASE | expected]


def test_one_that_was_outrun_before_its_first_byte_is_not_recorded(state: State) -> None:
    assert told(state, replace(ended("outrun"), bytes_received=0)) == []


def test_what_is_no_end_is_not_recorded(state: State) -> None:
    events = (
        AttemptStarted("tts", "a", "ipfs", "dweb.link", 1, 0),
        FileCompleted("tts", "a", "ipfs", "dweb.link", 1, 1, 1, 1.0),
        Warned("m"),
        RunEnded(1, 0, 1, 1.0),
    )
    assert told(state, *events) == []


def test_no_source_answers_for_this_machine_s_disk(state: State) -> None:
    """An attempt that ended on a full disk says nothing of whoever was sending."""
    assert told(state, ended("storage")) == []


def test_a_model_of_no_known_type_and_a_long_message(state: State) -> None:
    failed = FileFailed("other", "a", "x" * 5000, 1, 1.0)
    assert told(state, failed)[0]["modelType"] == "unknown"
    assert len(told(state)[0]["error_message"]) == metrics.MESSAGE_CHARS


def test_summary_counts_each_attempt_for_the_gateway_that_made_it() -> None:
    """The original's inner loop over gateways blamed the wrong one."""
    told_of = [
        entry("hit", "cache", None, 0),
        entry("error", gateway="a", ms=30_000),
        entry("success", gateway="b", ms=10),
        entry("success", gateway="b", ms=20),
        entry("success", "huggingface", "huggingface.co", 40),
        entry("all_layers_exhausted", None, None),
    ]
    assert metrics.summary(told_of) == {
        "total": 6,
        "cache_hits": 1,
        "ipfs": {"success": 2, "error": 1, "avg_latency": 15.0},
        "huggingface": {"success": 1, "error": 0, "avg_latency": 40.0},
        "gateways": {
            "a": {"success": 0, "error": 1, "avg_latency": 0.0},
            "b": {"success": 2, "error": 0, "avg_latency": 15.0},
        },
    }


def test_nothing_known() -> None:
    none = {"success": 0, "error": 0, "avg_latency": 0.0}
    unknown = {"status": "unknown", "success_rate": 0.0, "avg_latency_ms": 0.0}
    assert metrics.summary([]) == {
        "total": 0,
        "cache_hits": 0,
        "ipfs": none,
        "huggingface": none,
        "gateways": {},
    }
    assert metrics.health([]) == {"cache": {"hit_rate": 0.0}, "ipfs": unknown, "huggingface": unknown}


def test_a_mirror_is_told_of_only_when_one_was_asked() -> None:
    told_of = [entry("success", "mirror", "m")]
    assert metrics.summary(told_of)["mirror"] == {"success": 1, "error": 0, "avg_latency": 10.0}
    assert metrics.health(told_of)["mirror"]["status"] == "healthy"


@pytest.mark.parametrize(
    ("statuses", "status", "rate"),
    [
        ("s", "healthy", 100.0),
        ("e", "degraded", 0.0),
        ("s" + "e" * 9, "healthy", 10.0),
        ("s" + "e" * 10, "degraded", 9.09),
        ("e" * 10 + "s", "healthy", 9.09),
    ],
)
def test_one_of_the_last_ten_makes_a_layer_healthy(statuses: str, status: str, rate: float) -> None:
    told_of = [entry({"s": "success", "e": "error"}[letter]) for letter in statuses]
    health = metrics.health(told_of)["ipfs"]
    assert (health["status"], health["success_rate"]) == (status, rate)


def test_the_hit_rate_is_of_files_and_not_of_attempts() -> None:
    told_of = [
        entry("hit", "cache"),
        entry("error"),
        entry("error"),
        entry("success"),
        entry("all_layers_exhausted", None),
        entry("hit", "cache"),
    ]
    assert metrics.health(told_of)["cache"] == {"hit_rate": 50.0}


entries = st.builds(
    entry,
    st.sampled_from(["hit", "success", "error", "all_layers_exhausted"]),
    st.sampled_from(["cache", "ipfs", "huggingface", "mirror", None]),
    st.sampled_from(["a", "b", None]),
    st.floats(0, 1e9),
)


@given(told_of=st.lists(entries))
def test_numbers_add_up(told_of: list[dict[str, Any]]) -> None:
    summary, health = metrics.summary(told_of), metrics.health(told_of)
    for key in ("success", "error"):
        assert sum(host[key] for host in summary["gateways"].values()) == summary["ipfs"][key]
    assert all(0 <= layer["success_rate"] <= 100 for name, layer in health.items() if name != "cache")
    assert 0 <= health["cache"]["hit_rate"] <= 100
    json.dumps([summary, health], allow_nan=False)


class TestWriteCopy:
    def test_the_copy_is_replaced_and_nothing_else_is_left(self, tmp_path: Path) -> None:
        path = tmp_path / ".metrics.json"
        metrics.write_copy(path, [entry("hit")])
        metrics.write_copy(path, [entry("error"), entry("success")])
        assert json.loads(path.read_text()) == [entry("error"), entry("success")]
        assert [found.name for found in tmp_path.iterdir()] == [".metrics.json"]

    def test_a_failure_leaves_the_old_copy_and_no_other_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / ".metrics.json"
        metrics.write_copy(path, [entry("hit")])

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            metrics.write_copy(path, [])
        assert json.loads(path.read_text()) == [entry("hit")]
        assert [found.name for found in tmp_path.iterdir()] == [".metrics.json"]

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            metrics.write_copy(tmp_path / "none" / ".metrics.json", [])
