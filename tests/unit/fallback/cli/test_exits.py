"""Exit codes: who must act on an error is told by the code alone, and its message is on stderr."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from fallback import cli, errors, report
from fallback.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.settings import Settings

KEPT = "fallback: stopped; what had come is kept\n"

CASES: list[tuple[BaseException, int, str]] = [
    (errors.UnavailableError("a.bin", [("host", "not there")]), 1, "a.bin could not be had"),
    (errors.PublishError("something else"), 1, "fallback: something else"),
    (errors.BundleError("cut off"), 1, "fallback: cut off"),
    (errors.BusyError("another call"), 1, "fallback: another call"),
    (errors.FallbackError("whatever"), 1, "fallback: whatever"),
    (errors.ConfigError("no sense"), 2, "fallback: no sense"),
    (errors.ManifestError("m", [errors.Problem("a.size", "is missing")]), 2, "a.size: is missing"),
    (errors.SettingsError("jobs: 0"), 2, "fallback: jobs: 0"),
    (errors.UnknownModelError("only x"), 2, "fallback: only x"),
    (click.UsageError("no such option"), 2, "no such option"),
    (errors.StorageError(Path("/m"), "disk full"), 3, "fallback: /m: disk full"),
    (OSError(errno.ENOSPC, "No space left on device"), 3, "No space left on device"),
    (errors.StoppedError("stopped"), 130, KEPT),
    (KeyboardInterrupt(), 130, KEPT),
    (click.Abort(), 130, KEPT),
    (SystemExit(143), 143, KEPT),
    (SystemExit("odd"), 1, ""),
    (click.exceptions.Exit(0), 0, ""),
    (BrokenPipeError(), 141, ""),
]


@pytest.mark.parametrize(("error", "code", "message"), CASES, ids=[repr(error)[:25] for error, *_ in CASES])
def test_an_error_has_one_code_and_says_what_to_do_on_stderr(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table of the README; stdout stays empty, for programs read it."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert exits.report(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert bool(err) == bool(message)


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (errors.StoppedError("stopped"), 130), (SystemExit(143), 143)],
)
@pytest.mark.parametrize(
    ("maker", "arguments"),
    [
        ("fallback.bundles.making.create_bundle", ("bundle", "create", "-o", "m.tar")),
        ("fallback.publish.publishing.write_car", ("publish", "--to", "car", "-o", "m.car")),
    ],
)
def test_what_is_stopped_before_it_is_whole_is_not_said_to_be_kept(
    error: BaseException,
    code: int,
    maker: str,
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(maker, stopped)
    monkeypatch.setattr(sys, "argv", ["fallback", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "fallback: stopped; nothing of it is kept\n"


def test_every_error_of_the_tree_has_a_code() -> None:
    """A new error that nobody mapped would be exit 1, which blames the network."""
    tree = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    mapped = {type(error) for error, _, _ in CASES}
    inside = {errors.VerificationError, errors.SizeError, errors.DigestError}  # answered by the engine
    assert tree - mapped == inside


def test_a_mistake_of_ours_is_raised_on() -> None:
    """A traceback is what a bug report needs; a made-up code would hide it."""
    with pytest.raises(ZeroDivisionError):
        exits.report(ZeroDivisionError())


def test_who_stops_reading_stdout_ends_the_command_without_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `fallback sources | head -1`: 128 + SIGPIPE, not 1, and nothing is printed at the end."""

    def gone(_settings: Settings) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(report, "sources", gone)
    monkeypatch.setattr(sys, "argv", ["fallback", "sources"])
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 141
    assert sys.stdout is None
    assert capsys.readouterr().err == ""


def test_sigterm_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal becomes an exception in the main thread, so that every `finally` runs; 143."""
    cleaned = []

    def killed(_settings: Settings) -> None:
        assert callable(signal.getsignal(signal.SIGTERM))  # else the signal would end the tests
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 5)  # the handler runs before this returns
        finally:
            cleaned.append(True)

    monkeypatch.setattr(report, "sources", killed)
    monkeypatch.setattr(sys, "argv", ["fallback", "sources"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 143
    assert cleaned
    assert capsys.readouterr().err == KEPT


def test_a_name_that_is_no_text_is_printed_escaped(run: Callable[..., Any], manifest: Path) -> None:
    """Names on disk are bytes; one that is not UTF-8 is no reason for a traceback."""
    said = run("status", "--models-dir", os.fsdecode(b"mod\xffels"))
    assert (said.code, said.err) == (0, "")
    assert r"mod\udcffels" in said.out
