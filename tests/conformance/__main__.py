"""`fallback-conformance`, or `python -m tests.conformance`: run the suite against a client, or merge clients' reports.

    fallback-conformance --client "CLIENT" [--report DIR] [--dump DIR] [--jobs N] [pytest's own options: -k, -m, -x, …]
    fallback-conformance merge DIR DIR … --into DIR [--counts README.md]

Runs in parallel where pytest-xdist is installed. Ends as pytest does: 0 is all as required or expected.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from .reporting import merge

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["merge"]:
        return _merge(given[1:])
    parser = argparse.ArgumentParser(
        prog="fallback-conformance",
        description="Put any downloader through the fakes, as PROTOCOL.md says. Further options are pytest's.",
        epilog=f"The protocol: {HERE / 'PROTOCOL.md'}. `fallback-conformance merge` makes one page of many reports.",
    )
    parser.add_argument("--client", help="the command of the client under test; this engine if not given")
    parser.add_argument("--client-name", help="what reports call it; its file's name if not given")
    parser.add_argument("--report", type=Path, help="write report.json, report.html and junit.xml there")
    parser.add_argument("--dump", type=Path, help="keep jobs, journals and output of failures there")
    parser.add_argument(
        "--jobs", type=int, default=2 * (os.cpu_count() or 1), help="cases at a time (default: 2 a core)"
    )
    options, rest = parser.parse_known_args(given)
    return int(pytest.main(_for_pytest(options, rest)))


def _for_pytest(options: argparse.Namespace, rest: list[str]) -> list[str]:
    words = [str(HERE), *rest]
    for name in ("client", "client_name", "report", "dump"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if options.report is not None:
        words.append(f"--junitxml={options.report / 'junit.xml'}")
    if options.jobs > 1 and importlib.util.find_spec("xdist") is not None:
        words += ["--numprocesses", str(options.jobs), "--dist", "worksteal"]
    # Installed, the settings are our own; in a clone they are the project's.
    settings = HERE / "pytest.ini"
    return words if not settings.exists() or HERE.parent.name == "tests" else ["-c", str(settings), *words]


def _merge(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="fallback-conformance merge")
    parser.add_argument("reports", nargs="+", type=Path, help="report.json of each client, or its folder")
    parser.add_argument("--into", required=True, type=Path, help="write report.html and matrix.json there")
    parser.add_argument(
        "--counts",
        type=Path,
        metavar="FILE",
        help="write each client's counts into that document, between `<!-- conformance: begin -->` and `… end -->`",
    )
    options = parser.parse_args(given)
    try:
        merge(options.reports, options.into, options.counts)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
