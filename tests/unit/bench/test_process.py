from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import pytest

from bench import process

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


def test_what_a_client_started_is_killed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `xargs` starts wget: it would go on in the folder of the next."""
    monkeypatch.setattr(process, "LIMIT_S", 1.0)
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert process.run(["sh", "-c", f"sleep 60 > '{held}' & wait"], tmp_path / "log").code == -9
        assert select.select([reader], [], [], 10)[0] == [reader]  # its end: nobody holds it open
    finally:
        os.close(reader)


def test_a_program_that_is_not_here_has_not_done_its_work(tmp_path: Path) -> None:
    with pytest.raises(process.NotDoneError, match="no-such-program cannot be started: No such file"):
        process.run(["no-such-program"], tmp_path / "log")


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_what_the_benchmark_held_before_is_no_client_s_peak(tmp_path: Path) -> None:
    before = _resident_bytes()
    held = bytearray(200_000_000)
    del held
    assert process.run(["true"], tmp_path / "log").peak_rss_bytes < before + 100_000_000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
