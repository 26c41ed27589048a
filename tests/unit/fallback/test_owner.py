"""Owners of partials: only of one in our own place can be said that it is dead."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fallback import owner

if TYPE_CHECKING:
    from pathlib import Path


def test_we_are_alive() -> None:
    ourselves = owner.ourselves()
    assert re.fullmatch(owner.NAME, ourselves)
    assert owner.life(ourselves) == "alive"


def of(pid: int, *, place: str | None = None, started: int | None = None) -> str:
    """An owner as process `pid` would call itself, or as somebody pretends it does."""
    here, _, our_start = owner.ourselves().split("-")
    began = our_start if started is None else f"{started:x}"
    return f"{place or here}-{pid:x}-{began}"


def test_a_process_that_ended_is_dead_also_while_nobody_waited_for_it() -> None:
    """A zombie writes no more, and still answers to its PID."""
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # its end
    while owner._started(process.pid) not in {-1, None}:
        pass
    assert owner.life(of(process.pid)) == "dead"
    process.stdout.close()
    process.wait()
    assert owner.life(of(process.pid)) == "dead"


def test_a_pid_that_is_used_again_is_another_process() -> None:
    pid = int(owner.ourselves().split("-")[1], 16)
    assert owner.life(of(pid, started=1)) == "dead"


@pytest.mark.parametrize(
    "stranger",
    [
        of(1, place="0f0f0f"),
        of(1, started=0),
        "somebody",
        "",
        "abcdef-1",
        f"{owner.ourselves()}\n",
        of(0xFFFFFFFF),
    ],
    ids=["another place", "no start", "no owner", "empty", "short", "line end", "no PID"],
)
def test_of_anybody_else_nothing_is_known(stranger: str) -> None:
    """Never `dead`: a partial of somebody who may live is not taken as it is."""
    assert owner.life(stranger) != "dead"


def test_without_proc_nobody_is_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system without /proc the owner says so, and is `unknown` to all."""
    monkeypatch.setattr(owner, "_PROC", tmp_path)
    owner._place.cache_clear()
    owner._living.cache_clear()
    try:
        ourselves = owner.ourselves()
        assert ourselves.startswith("000000-")
        assert ourselves.endswith("-0")
        assert owner.life(ourselves) == "unknown"
    finally:
        owner._place.cache_clear()
        owner._living.cache_clear()
