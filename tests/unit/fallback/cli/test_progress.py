"""What a person sees of a run, and what a program reads of it."""

from __future__ import annotations

import errno
import io
import json
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from fallback.cli import bars as cli_bars
from fallback.cli import progress
from fallback.cli.bars import Bars
from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    CacheHit,
    FileCompleted,
    FileFailed,
    Progressed,
    Published,
    Quarantined,
    RunEnded,
    RunStarted,
    Uploading,
    Waiting,
    Warned,
)
from fallback.results import FileFailure, FileResult, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.events import Event

AT = ("m", "a[/b].onnx", "ipfs", "host:1", 1)
STARTED, PROGRESSED = AttemptStarted(*AT, 0), Progressed(*AT, 500_000, 1_000_000, 100_000.0, 5.0)  # type: ignore[arg-type]
WAITING = Waiting("m", "a[/b].onnx", "host:1", 7.5, "429, asks to wait 7 s")
COMPLETED = FileCompleted("m", "a[/b].onnx", "ipfs", "host:1", 1000, 1000, 1, 0.5)
ALL: list[Event] = [
    RunStarted(1, 1000),
    Warned("the manifest holds 2.1 GB"),
    CacheHit("m", "b", 3),
    Quarantined("m", "a[/b].onnx", "a.bak", "wrong bytes"),
    STARTED,
    PROGRESSED,
    AttemptEnded(*AT, "interrupted", "cut", 5, 10, 0.1),  # type: ignore[arg-type]
    WAITING,
    COMPLETED,
    FileFailed("m", "c", "gone", 1, 0.1),
    RunEnded(1, 1, 1000, 0.5),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The module's own time, in seconds: `clock.now`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(cli_bars, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes stderr a terminal. Called by the test: pytest sets stderr anew after the fixtures."""
    monkeypatch.setenv("TERM", "xterm")

    def put() -> Terminal:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        return terminal

    return put


def drawn(bars: Bars) -> str:
    """The bars as they would be drawn now."""
    shown = io.StringIO()
    Console(file=shown, width=200).print(bars._progress.get_renderable())
    return shown.getvalue()


def tell(events: list[Event], **flags: bool) -> None:
    with progress.observer(**{"as_json": False, "quiet": False, **flags}) as observer:
        for event in events:
            observer(event)


def test_json_is_one_object_a_line_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Every event, in order; also with --quiet, which is about what people see."""
    tell(ALL, as_json=True, quiet=True)
    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == [event.kind for event in ALL]
    assert err == ""


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_json_lines_nobody_can_take_are_said_once_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """P11: the engine drops the observer and goes on; the interpreter must not fail at its end."""

    def full(*_: Any) -> None:
        raise OSError(number, "of stdout")

    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys.stdout, "write", full)
    with pytest.raises(OSError, match="of stdout"):
        tell(ALL, as_json=True)
    assert sys.stdout is None
    assert capsys.readouterr().err == "warning: stdout: of stdout; no more events are printed\n"


def test_quiet_says_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    tell(ALL, quiet=True)
    assert capsys.readouterr() == ("", "warning: the manifest holds 2.1 GB\n")


def test_without_a_terminal_a_line_says_what_became_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr; no bar, no control character."""
    tell(ALL)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "warning: the manifest holds 2.1 GB",
        "m/a[/b].onnx: set aside as a.bak: wrong bytes",
        "m/a[/b].onnx: waiting 7.5 s for host:1: 429, asks to wait 7 s",
        "m/a[/b].onnx: right, 1000 bytes from host:1 in 0.5 s",
    ]


def test_bars_say_layer_source_size_and_rate(on_terminal: Callable[[], Terminal]) -> None:
    """Brackets in a name are part of the name, no markup."""
    on_terminal()
    with Bars() as bars:
        bars(STARTED)
        assert "asking host:1" in drawn(bars)
        bars(PROGRESSED)
        shown = drawn(bars)
        assert all(word in shown for word in ("a[/b].onnx", "0.5/1.0 MB", "ipfs host:1"))
        bars(WAITING)
        assert "waiting 8 s for host:1: 429, asks to wait 7 s" in drawn(bars)


def test_an_upload_has_a_bar_until_it_is_published(on_terminal: Callable[[], Terminal]) -> None:
    """By the model's name, for it is no file that goes."""
    on_terminal()
    with Bars() as bars:
        bars(Uploading("whole", "", "pin:1", 1_500_000, 3_000_000, 1e6))
        assert all(word in drawn(bars) for word in ("whole", "1.5/3.0 MB", "to pin:1"))
        bars(Published("whole", "", "pin:1", "bafy", "unixfs-v1-2025", ()))
        assert drawn(bars).strip() == ""


def test_a_pause_of_a_model_is_said_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    tell([Waiting("whole", "", "pin:1", 1.0, "503")])
    assert capsys.readouterr().err == "whole: waiting 1.0 s for pin:1: 503\n"


def test_a_stall_is_shown_while_it_lasts_though_no_event_comes(
    on_terminal: Callable[[], Terminal], clock: SimpleNamespace
) -> None:
    """A source that stalls tells nothing: the time is read when the bar is drawn."""
    on_terminal()
    with Bars() as bars:
        bars(PROGRESSED)
        clock.now += 12
        assert "ipfs host:1, stalled 12 s" in drawn(bars)
        bars(PROGRESSED)
        assert "stalled" not in drawn(bars)


def test_a_pause_is_no_stall(on_terminal: Callable[[], Terminal], clock: SimpleNamespace) -> None:
    """Nobody is to send a byte while a source is waited for."""
    on_terminal()
    with Bars() as bars:
        bars(STARTED)
        bars(WAITING)
        clock.now += 12
        assert "stalled" not in drawn(bars)


def test_a_bar_goes_when_its_file_is_done(on_terminal: Callable[[], Terminal]) -> None:
    """Files that fail or are here have none; what was had stays as a line above."""
    terminal = on_terminal()
    with Bars() as bars:
        bars(STARTED)
        for event in (COMPLETED, FileFailed("m", "c", "gone", 1, 0.1), CacheHit("m", "b", 3)):
            bars(event)
        assert drawn(bars).strip() == ""
    assert "m/a[/b].onnx  ipfs host:1" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())


def test_a_terminal_gets_bars_and_warnings_on_stderr(
    on_terminal: Callable[[], Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = on_terminal()
    tell(ALL)
    assert capsys.readouterr().out == ""
    assert "warning: the manifest holds 2.1 GB" in terminal.getvalue()
    assert "set aside as a.bak" in terminal.getvalue()


def test_the_table_has_a_line_a_file_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, by name, also for names that look like markup or an emoji."""
    files = (
        FileResult("m", "z[/b].onnx", "ipfs", "host:1", 3_000_000, 3_000_000, 2, 1.25),
        FileResult("m", ":smile:", "cache", "", 3),
    )
    progress.table(Summary(files, (FileFailure("m", "gone.bin", "nobody has it"),), seconds=2.0))
    out, err = capsys.readouterr()
    assert out == ""
    rows = [line.split() for line in err.splitlines()]
    assert rows[1] == ["m/:smile:", "cache", "3", "0", "0", "0.00"]
    assert rows[2] == ["m/z[/b].onnx", "ipfs", "host:1", "3,000,000", "3,000,000", "2", "1.25"]
    assert rows[3] == ["m/gone.bin", "failed"]
    assert err.splitlines()[4] == "2 of 3 files right, 3,000,000 bytes received in 2.00 s (2 MB/s)"
