from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bench import process

if TYPE_CHECKING:
    from pathlib import Path

WAITS = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]


def test_one_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs nobody else his figures."""
    monkeypatch.setattr(process, "LIMIT_S", 0.1)
    measured = process.run(WAITS, tmp_path / "log")
    assert measured.code == -9
    assert measured.seconds < 30


def test_when_the_benchmark_is_ended_the_client_ends(tmp_path: Path) -> None:
    """Its folder is about to be deleted."""
    log = tmp_path / "log"

    def until() -> bool:
        if log.read_text().endswith("\n"):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        process.run(WAITS, log, until)
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


def test_a_process_is_measured(tmp_path: Path) -> None:
    began = time.perf_counter()
    measured = process.run([sys.executable, "-c", "print('x'); raise SystemExit(3)"], tmp_path / "log")
    assert measured.code == 3
    assert 0 < measured.seconds <= time.perf_counter() - began
    assert measured.peak_rss_bytes > 1_000_000
    assert (tmp_path / "log").read_text() == "x\n"


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_what_the_benchmark_held_before_is_no_client_s_peak(tmp_path: Path) -> None:
    held = bytearray(200_000_000)
    del held
    assert process.run(["true"], tmp_path / "log").peak_rss_bytes < 200_000_000
