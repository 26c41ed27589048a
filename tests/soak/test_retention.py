"""Metrics of 24 hours when there are a million records: the old ones go, questions are answered, memory is bounded."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fallback import Manifest, Settings, report, sync
from fallback.state import FILE_NAME, State
from fallback.state.attempts import COLUMNS, LIMIT

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.events import Event

MANY = 1_000_000
HOURS = 48
"""Half of them are older than the retention."""

PEAK_MIB = 400
CHILD = """
import json, re, sys
from pathlib import Path
from fallback import Settings, report
told = report.metrics_report(Settings(models_dir=sys.argv[1]), "summary")
print(told["total"], re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def filled(path: Path, now: float) -> None:
    """A million records over `HOURS`, in one transaction."""
    marks = ", ".join("?" * 12)
    with sqlite3.connect(path) as db:
        db.executemany(
            f"INSERT INTO attempts ({COLUMNS}) VALUES ({marks})",
            (
                (
                    now - HOURS * 3600 * (1 - number / MANY),
                    "whisper-base",
                    "stt",
                    "onnx/model.onnx",
                    "ipfs",
                    f"g{number % 4}",
                )
                + (
                    ("success", 12.5, 7, 7, None, None)
                    if number % 3
                    else ("error", 9.5, 0, 7, "unavailable", "failed (503)")
                )
                for number in range(MANY)
            ),
        )
    db.close()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_million_records(tmp_path: Path) -> None:
    settings = Settings(models_dir=tmp_path, offline=True, reserve_bytes=0)
    told: list[Event] = []
    assert sync(Manifest(()), settings=settings).ok
    with State(settings.state_path, pytest.fail) as state:
        state.attempts.clear()
    now = time.time()
    filled(settings.state_path / FILE_NAME, now)
    began = time.monotonic()
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    total, peak = map(int, child.stdout.split())
    print(
        f"\nsummary over {MANY} records: {time.monotonic() - began:.1f} s with the process's start, peak {peak >> 10} MiB"
    )
    assert total == LIMIT
    assert peak >> 10 < PEAK_MIB
    for name in ("the first sync, which forgets half", "the next one"):
        began = time.monotonic()
        assert sync(Manifest(()), settings=settings, observer=told.append).ok
        print(f"{name}: {time.monotonic() - began:.1f} s")
    assert [event for event in told if type(event).__name__ == "Warned"] == []
    records = json.loads((tmp_path / ".metrics.json").read_text())
    assert len(records) == LIMIT
    assert records == report.metrics_report(settings, "records")["metrics"]
    with State(settings.state_path, pytest.fail) as state:
        [(left, oldest)] = state.db.execute("SELECT count(*), min(timestamp) FROM attempts")
    assert 0 <= oldest - (now - settings.metrics_retention_h * 3600) < 600
    assert abs(left - MANY // 2) < MANY // 100
