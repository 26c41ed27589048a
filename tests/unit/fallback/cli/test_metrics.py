"""`fallback metrics`: the attempts table as JSON, in the four ways it can be asked."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from fallback.state import State
from fallback.state.attempts import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.settings import Settings


@pytest.fixture
def attempts(settings: Settings) -> None:
    """An error and a success now, and a success older than the retention."""
    now = time.time()
    with State(settings.state_path, pytest.fail) as state:
        for when, status in [(now - 25 * 3600, "success"), (now, "error"), (now, "success")]:
            state.attempts.add(Record(when, "tiny", "stt", "a", "ipfs", "one.invalid", status, 20.0, 7, 7))


def told(said: Any) -> Any:
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


@pytest.mark.parametrize("what", [[], ["summary"]])
def test_summary_is_what_is_printed_unasked(run: Callable[..., Any], attempts: None, what: list[str]) -> None:
    """Of the retention's hours alone."""
    counts = {"success": 1, "error": 1, "avg_latency": 20.0}
    summary = told(run("metrics", *what))
    assert (summary["total"], summary["ipfs"]) == (2, counts)
    assert summary["gateways"] == {"one.invalid": counts}


def test_records_and_health(run: Callable[..., Any], attempts: None) -> None:
    records = told(run("metrics", "records"))["metrics"]
    assert [record["status"] for record in records] == ["error", "success"]
    health = told(run("metrics", "health"))
    assert (health["ipfs"]["status"], health["ipfs"]["success_rate"]) == ("healthy", 50)
    assert health["huggingface"]["status"] == "unknown"


def test_reset_leaves_no_record(run: Callable[..., Any], attempts: None) -> None:
    assert told(run("metrics", "reset")) == {"ok": True, "message": "metrics were reset"}
    assert told(run("metrics", "records")) == {"metrics": []}
    assert told(run("metrics"))["total"] == 0


def test_reset_keeps_what_is_no_metric(
    run: Callable[..., Any], attempts: None, here: Callable[[str], Any]
) -> None:
    """Files proven before are still proven: a reset of numbers must not cost hashing."""
    here("config.json")
    run("sync", "--offline")
    run("metrics", "reset")
    assert run("status").out.startswith("present")


def test_with_nothing_kept_yet_there_is_nothing_to_tell(run: Callable[..., Any]) -> None:
    assert told(run("metrics"))["total"] == 0
    assert told(run("metrics", "health"))["ipfs"]["status"] == "unknown"


def test_another_word_is_exit_2_and_names_those_there_are(run: Callable[..., Any]) -> None:
    said = run("metrics", "nonsense")
    assert (said.code, said.out) == (2, "")
    assert "'records', 'summary', 'health', 'reset'" in said.err
