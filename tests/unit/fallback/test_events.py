"""Events as JSON: their own fields, and the original's progress shape where it has a word."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from fallback import events
from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    CacheHit,
    Event,
    FileCompleted,
    FileFailed,
    LayerName,
    Progressed,
    RunEnded,
    Waiting,
    as_json,
    engine_progress,
)

At = tuple[str, str, LayerName, str, int]
AT: At = ("tts", "a.onnx", "ipfs", "dweb.link", 2)
HUB: At = ("tts", "a.onnx", "huggingface", "huggingface.co", 1)


@pytest.mark.parametrize(
    ("event", "shape"),
    [
        (CacheHit("tts", "a.onnx", 5), {"layer": "cache", "status": "hit"}),
        (
            AttemptStarted(*AT, 0),
            {"layer": "ipfs", "gateway": "dweb.link", "attempt": 2, "status": "attempting"},
        ),
        (AttemptStarted(*HUB, 0), {"layer": "huggingface", "attempt": 1, "status": "attempting"}),
        (
            Progressed(*AT, 1, 3, 10.0, 0.2),
            {
                "layer": "ipfs",
                "gateway": "dweb.link",
                "status": "downloading",
                "downloaded": 1,
                "total": 3,
                "percent": 33.33,
                "speed": 10.0,
                "eta": 0.2,
            },
        ),
        (
            AttemptEnded(*AT, "corrupt", "other bytes", 5, 5, 0.1),
            {
                "layer": "ipfs",
                "gateway": "dweb.link",
                "attempt": 2,
                "status": "error",
                "error": "other bytes",
            },
        ),
        (AttemptEnded(*AT, "delivered", "", 5, 5, 0.1), None),
        (AttemptEnded(*AT, "outrun", "another's body began first", 0, 5, 0.1), None),
        (Waiting("tts", "a.onnx", "dweb.link", 2.0, "429"), None),
        (RunEnded(1, 0, 5, 0.1), None),
    ],
)
def test_the_original_s_progress(event: Event, shape: dict[str, Any] | None) -> None:
    """DESIGN.md, "Engine progress": fixed."""
    assert engine_progress(event) == shape


def test_success_and_failure_of_a_file() -> None:
    completed = {"model": "tts", "path": "a", "layer": "ipfs", "source": "dweb.link"}
    fields = {name: 1 for name in inspect.signature(FileCompleted).parameters if name not in completed}
    assert engine_progress(FileCompleted(**completed, **fields)) == {"layer": "ipfs", "status": "success"}  # type: ignore[arg-type]
    failed = FileFailed("tts", "a", "no source", 2, 0.5, (("dweb.link", "404"),))
    assert engine_progress(failed) == {"status": "error", "error": "no source"}


@pytest.mark.parametrize(("downloaded", "total", "percent"), [(0, 0, 100.0), (5, None, None), (5, 5, 100.0)])
def test_percent(downloaded: int, total: int | None, percent: float | None) -> None:
    shape = engine_progress(Progressed(*AT, downloaded, total, 1.0, None))
    assert shape is not None
    assert shape["percent"] == percent


def test_the_wire_form_has_both() -> None:
    told = as_json(AttemptStarted(*AT, 7))
    assert json.loads(json.dumps(told)) == told
    assert (told["event"], told["offset"], told["path"], told["gateway"]) == (
        "attempt_started",
        7,
        "a.onnx",
        "dweb.link",
    )


def test_kinds_differ() -> None:
    kinds = [each for _, each in inspect.getmembers(events, inspect.isclass) if issubclass(each, Event)]
    names = [each.kind.fget(object.__new__(each)) for each in kinds]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names) > 10
