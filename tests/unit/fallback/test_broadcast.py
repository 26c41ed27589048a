"""The fold of a run's events into the original's messages."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import pytest

from fallback import events
from fallback.broadcast import Broadcast, model_id
from tests.flow.messages import VALIDATOR

if TYPE_CHECKING:
    from fallback.events import Event

WHO: tuple[str, str, Literal["ipfs"], str] = ("whisper-base", "model.onnx", "ipfs", "one.invalid")
STARTED = events.RunStarted(2, 150)


def ended(outcome: str, reason: str = "") -> Event:
    return events.AttemptEnded(*WHO, 1, outcome, reason, 40, 100, 1.0)


def completed(layer: Any = "ipfs") -> Event:
    return events.FileCompleted("whisper-base", "model.onnx", layer, "one.invalid", 100, 100, 1, 2.0)


class Told:
    """A broadcast, and everything it says after each event: each is held against the schema."""

    def __init__(self, *told: Event) -> None:
        self.clock = itertools.count(1000)
        self.cast = Broadcast(
            "r1",
            {"whisper-base": "stt"},
            {("whisper-base", "model.onnx"): 100},
            now=lambda: next(self.clock),
            mark=itertools.count(1).__next__,
        )
        self.seen = 0
        for event in told:
            self.cast(event)

    def news(self) -> list[dict[str, Any]]:
        messages = self.cast.since(self.seen)
        self.seen = max([self.seen, *(mark for mark, _ in messages)])
        for _, message in messages:
            VALIDATOR.validate(json.loads(json.dumps(message)))
        return [message for _, message in messages]

    def of_file(self) -> dict[str, Any]:
        return next(message for message in self.news() if "file" in message)

    def of_run(self) -> dict[str, Any]:
        return next(message for message in self.news() if "file" not in message)


@pytest.mark.parametrize(
    ("name", "kind", "called"), [("w", "stt", "whisper"), ("tts-models", "voice", "tts"), ("x", "other", "x")]
)
def test_a_model_s_id_is_the_original_s(name: str, kind: str, called: str) -> None:
    assert model_id(name, kind) == called


def test_progress_says_everything_design_lists() -> None:
    told = Told(STARTED, events.AttemptStarted(*WHO, 1, 0), events.Progressed(*WHO, 1, 25, 100, 5.0, 15.0))
    file, run = told.news()
    assert file == {
        "type": "model_download_progress", "runId": "r1", "modelId": "whisper", "model": "whisper-base",
        "bytesDownloaded": 25, "bytesRemaining": 75, "totalBytes": 100, "downloadSpeed": 5.0, "eta": 15.0,
        "retryCount": 0, "currentGateway": "one.invalid", "gateway": "one.invalid", "status": "downloading",
        "percentComplete": 25.0, "progress": 25.0, "completedFiles": 0, "totalFiles": 2, "timestamp": 1004,
        "source": "ipfs", "file": "model.onnx", "started": True, "done": False, "downloading": True,
    }  # fmt: skip
    assert (run["bytesDownloaded"], run["totalBytes"], run["percentComplete"], run["eta"]) == (
        25,
        150,
        16.67,
        25,
    )
    assert (run["modelId"], run["model"], run["source"], run["currentGateway"]) == (
        "whisper", ["whisper-base"], "ipfs", "one.invalid",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            events.AttemptStarted(*WHO, 1, 10),
            {"status": "attempting", "bytesDownloaded": 10, "totalBytes": 100},
        ),
        (
            ended("unavailable", "503"),
            {"status": "error", "error": "503", "done": False, "downloading": True},
        ),
        (completed(), {"status": "success", "source": "ipfs", "progress": 100.0, "done": True}),
        (completed("huggingface"), {"source": "huggingface", "downloading": False, "eta": None}),
        (
            events.CacheHit("whisper-base", "model.onnx", 100),
            {"source": "cache", "gateway": None, "done": True},
        ),
        (
            events.FileFailed("whisper-base", "model.onnx", "nobody", 3, 1.0),
            {"status": "error", "error": "nobody", "done": True},
        ),
        (
            events.Waiting("whisper-base", "model.onnx", "one.invalid", 2.5, "429"),
            {"status": "attempting", "waitSeconds": 2.5, "reason": "429"},
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, events.Event) else "",
)
def test_what_each_event_makes_of_its_file(event: Event, said: dict[str, Any]) -> None:
    assert said.items() <= Told(STARTED, event).of_file().items()


@pytest.mark.parametrize(
    "event",
    [
        events.Warned("so"),
        ended("delivered"),
        events.Blamed(*WHO, 1, earlier=False),
        events.Quarantined("whisper-base", "model.onnx", "x.bak", "wrong"),
        events.Listed("whisper-base", "model.onnx", 1),
    ],
)
def test_what_changes_nothing_that_is_told(event: Event) -> None:
    told = Told(STARTED)
    told.news()
    told.cast(event)
    assert told.news() == []


def test_retries_are_counted_of_the_file_and_of_the_run() -> None:
    told = Told(STARTED, *[events.AttemptStarted(*WHO, number, 0) for number in (1, 2, 3)])
    assert [message["retryCount"] for message in told.news()] == [2, 2]


def test_an_attempt_s_error_is_gone_with_the_next_attempt() -> None:
    told = Told(STARTED, events.AttemptStarted(*WHO, 1, 0), ended("unavailable", "503"))
    assert told.of_file()["error"] == "503"
    told.cast(events.AttemptStarted(*WHO, 2, 0))
    assert "error" not in told.of_file()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (events.RunEnded(2, 0, 100, 1.0), {"status": "completed", "ok": 2, "failed": 0}),
        (events.RunEnded(1, 1, 100, 1.0), {"status": "error", "error": "nobody", "failed": 1}),
        (events.RunEnded(1, 0, 100, 1.0, stopped=True), {"status": "paused"}),
    ],
)
def test_how_a_run_ends(event: Event, said: dict[str, Any]) -> None:
    told = Told(STARTED, events.FileFailed("whisper-base", "b", "nobody", 3, 1.0), event)
    run = told.of_run()
    assert said.items() <= run.items()
    assert (run["started"], run["done"], run["downloading"]) == (True, True, False)
    assert "file" not in run
    assert told.cast.is_done


def test_what_is_under_way_when_a_run_ends_is_paused() -> None:
    told = Told(STARTED, events.Progressed(*WHO, 1, 25, 100, 5.0, 15.0))
    told.cast(events.RunEnded(0, 0, 25, 1.0, stopped=True))
    file = told.of_file()
    assert (file["status"], file["done"], file["bytesDownloaded"]) == ("paused", True, 25)


def test_a_run_that_fails_before_it_begins_says_why() -> None:
    told = Told()
    told.cast.fail("the manifest cannot be used")
    run = told.of_run()
    assert (run["status"], run["done"], run["error"]) == ("error", True, "the manifest cannot be used")


def test_whoever_asks_seldom_misses_no_end() -> None:
    """Of a file that is done, its last message is there whenever it is asked for; and each is told once."""
    told = Told(STARTED, events.CacheHit("whisper-base", "a", 50), events.AttemptStarted(*WHO, 1, 0))
    told.cast(events.Progressed(*WHO, 1, 25, 100, 5.0, 15.0))
    told.cast(completed())
    told.cast(events.RunEnded(2, 0, 100, 1.0))
    ends = [(message.get("file"), message["status"]) for message in told.news()]
    assert ends == [("a", "success"), ("model.onnx", "success"), (None, "completed")]
    assert told.news() == []


def test_a_run_of_many_files_costs_no_more_an_event() -> None:
    """What a run sums up is kept: its totals are those of its files."""
    told = Told(events.RunStarted(1000, 10_000))
    for number in range(1000):
        told.cast(events.CacheHit("whisper-base", f"f{number}", 10))
    *files, run = told.news()
    assert (len(files), run["completedFiles"], run["bytesDownloaded"]) == (1000, 1000, 10_000)


def test_a_size_that_nobody_knows_is_null() -> None:
    event = events.Progressed("whisper-base", "unsized", "ipfs", "one.invalid", 1, 25, None, 5.0, None)
    file = Told(STARTED, event).of_file()
    assert file["totalBytes"] is file["percentComplete"] is file["bytesRemaining"] is None


def test_the_schema_refuses_what_is_no_message() -> None:
    """A schema that takes everything would prove nothing."""
    good = Told(STARTED).of_run()
    for wrong in ({"status": "busy"}, {"bytesDownloaded": "1"}, {"type": "x"}, {"percentComplete": 101}):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(good | wrong)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({key: value for key, value in good.items() if key != "timestamp"})


def test_so_many_files_at_most_are_told_and_the_run_always() -> None:
    told = Told(STARTED, *(events.CacheHit("whisper-base", f"f{number}", 1) for number in range(5)))
    assert [each.get("file") for _, each in told.cast.since(0, 2)] == ["f0", "f1", None]
    assert len(told.cast.since(0)) == 6
