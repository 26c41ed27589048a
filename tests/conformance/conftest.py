"""Options of the suite, the cases as tests, and what is told of them at the end.

    pytest tests/conformance --client "CLIENT" [--dump DIR] [--report DIR] [-n 4] [-m smoke] [-k R-ORDER]

Run with the whole test suite (`pytest`), only the cases marked smoke take part.
"""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .case import Case, all_cases
from .outcome import Told, client_name, expected_failures
from .reporting import finish

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
ENGINE = (sys.executable, str(HERE / "clients" / "engine.py"))
KEY = "conformance"
SOMETIMES = "sometimes "
"""How the reason of a failure begins that chance decides: that one is not strict."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's own options; pytest's (-k, -m, -n, --junitxml) are there, too."""
    group = parser.getgroup("conformance")
    group.addoption("--client", metavar="COMMAND", help="the client under test; this engine if not given")
    group.addoption(
        "--client-name", metavar="NAME", help="what reports call it; its file's name if not given"
    )
    group.addoption("--dump", metavar="DIR", help="keep jobs, journals and client output of failures there")
    group.addoption(
        "--measure-all", action="store_true", help="a case that this machine cannot play is a failure"
    )
    group.addoption("--report", metavar="DIR", help="write report.json and report.html there")


def pytest_configure(config: pytest.Config) -> None:
    """Marks, and a place for results."""
    config.addinivalue_line("markers", "smoke: a small part of the conformance suite, in every run")
    config.addinivalue_line("markers", "timeout(seconds): of pytest-timeout, where that is installed")
    _expected(config)
    # Begun in the background, a shell has us ignore Ctrl-C, and a client would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def command_of(config: pytest.Config) -> Sequence[str]:
    """The client's command, words of it that are files here as absolute paths: it runs in another folder."""
    given = config.getoption("--client", None)
    words = shlex.split(given) if given else ENGINE
    return [str(Path(word).absolute()) if Path(word).is_file() else word for word in words]


def is_asked_for(config: pytest.Config) -> bool:
    """Whether the suite was named on the command line, and did not just come along with all tests."""
    named = [Path(argument.split("::")[0]).absolute() for argument in config.args]
    return any(path == HERE or HERE in path.parents for path in named)


def _expected(config: pytest.Config) -> dict[str, str]:
    """The client's expected failures; asked for at the start, too, where a UsageError is told in one line."""
    expected = expected_failures(command_of(config))
    unknown = sorted(set(expected) - set(all_cases()))
    if unknown:
        raise pytest.UsageError(f"the client's xfails name cases that do not exist: {', '.join(unknown)}")
    return expected


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Smoke alone, unless the suite was asked for; expected failures are strict."""
    expected = _expected(config)
    ours = {item: case for item in items if isinstance(case := _case_of(item), Case)}
    for item, case in ours.items():
        if case.id in expected:
            reason = expected[case.id]
            item.add_marker(pytest.mark.xfail(reason=reason, strict=not reason.startswith(SOMETIMES)))
    if not is_asked_for(config):
        left = [item for item in ours if item.get_closest_marker("smoke") is None]
        if left:
            config.hook.pytest_deselected(items=left)
            items[:] = [item for item in items if item not in set(left)]


def _case_of(item: pytest.Item) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("case") if callspec else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Put the result beside what the test told of its run."""
    report = yield
    told = dict(item.user_properties).get(KEY)
    if call.when == "call" and isinstance(told, dict):
        told["result"] = Told.result(report, told)
        told["expected"] = getattr(report, "wasxfail", None)
        report.user_properties = [(KEY, told)]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather, on the controller, what every process found."""
    for name, told in report.user_properties:
        if name == KEY and report.when == "call" and isinstance(told, dict):
            _GATHERED.append(told)


_GATHERED: list[dict[str, Any]] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table, and the reports where they were asked for."""
    if _GATHERED and not hasattr(config, "workerinput"):
        name = config.getoption("--client-name", None) or client_name(command_of(config))
        finish(_GATHERED, name, config.getoption("--report", None), terminalreporter.write_line)
