"""What is true of every run, and what a case expects of one beside that; each a list of sentences on what was wrong."""

from __future__ import annotations

import signal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fakes.faults import FAULTS

from .client import GRACE_S, grace_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.journal import Entry

    from .case import Case, Result
    from .stage import Run

SLACK = 8 << 20
"""Bytes that two kernels may hold of a body that nobody reads."""

_CODES = {"right": (0,), "failure": (1,), "either": (0, 1)}


def always(run: Run) -> list[str]:
    """The rules of PROTOCOL.md under "What is measured", for any run whatever the case is about."""
    problems = list(run.seen)
    deadline_s = float(run.job["deadline_s"])
    if run.was_killed:
        problems.append(f"it did not end: killed after {run.seconds:.1f} s, deadline {deadline_s:g} s")
    elif _is_late(run, deadline_s):
        problems.append(f"it ended after {run.seconds:.1f} s; its deadline was {deadline_s:g} s")
    if run.code not in {0, 1} and not run.was_killed and run.signalled is None:
        problems.append(f"it {_ended(run)}; 0 and 1 are the ways to end")
    if run.code == 0 and run.is_alone and not run.all_right:
        wrong = sorted(set(run.files) - set(run.right)) or ["something"]
        problems.append(f"exit 0, but {', '.join(wrong)} is not there and right")
    if run.has_survivors:
        problems.append("processes of it went on after its end")
    if run.strange:
        problems.append(f"it wrote outside its folders: {', '.join(run.strange)}")
    return problems + [problem for entry in run.entries for problem in _too_much(run, entry)]


def _is_late(run: Run, limit_s: float) -> bool:
    return run.seconds > limit_s + GRACE_S and run.seconds > limit_s + grace_s()


def _too_much(run: Run, entry: Entry) -> Iterable[str]:
    """No response is read beyond the size of the largest file."""
    most = max((file["size"] for file in run.job["files"]), default=0)
    if entry.bytes_sent > most + SLACK:
        yield f"it took {entry.bytes_sent} bytes of one answer; the file has {most} ({entry.server} {entry.path})"


def of_result(run: Run, result: Result) -> list[str]:
    """How it ended, and what is at the final names then."""
    problems = []
    if run.code not in _CODES[result] and run.code in {0, 1}:
        problems.append(f"it {_ended(run)}; expected {' or '.join(map(str, _CODES[result]))}")
    if result == "right" and not run.all_right:
        problems.append(f"{len(run.right)} of {len(run.files)} files are right")
    if result == "failure" and run.right:
        problems.append(f"{', '.join(run.right)} is right, though no source has it")
    return problems


def of_case(run: Run, case: Case) -> list[str]:
    """What this case expects of its one run."""
    expect = case.expect
    problems = of_result(run, expect.result)
    for server, most in expect.most.items():
        requests = [entry for entry in matching(run.entries, server) if entry.method]
        asked = requests if most == 0 else run.asked(server)
        if len(asked) > most:
            problems.append(f"{len(asked)} requests to {server}, {most} at most")
    for server, least in expect.least.items():
        # A HEAD asks, too: who was silent to one has had its time.
        asked = [
            entry for entry in matching(run.entries, server) if entry.method or is_ended_at_accept(entry)
        ]
        if len(asked) < least:
            problems.append(f"{len(asked)} requests to {server}, {least} at least")
    if expect.within_s is not None and _is_late(run, expect.within_s):
        problems.append(f"it took {run.seconds:.1f} s, {expect.within_s:g} s at most")
    if expect.refetched is not None:
        total = sum(file["size"] for file in run.job["files"])
        if run.sent() > total + expect.refetched + SLACK // 8:
            problems.append(f"{run.sent()} bytes were sent for files of {total}")
    return problems


def matching(entries: Iterable[Entry], server: str = "*", path: str = "*") -> list[Entry]:
    """The entries of these servers and paths."""
    return [entry for entry in entries if fnmatchcase(entry.server, server) and fnmatchcase(entry.path, path)]


def is_ended_at_accept(entry: Entry) -> bool:
    """Whether it is a connection that a fault ended before a request; faults of the network have an entry, too."""
    return not entry.method and any(FAULTS[name].level == "accept" for name in entry.faults)


def _ended(run: Run) -> str:
    if run.code is not None and run.code < 0:
        return f"was ended by {signal.Signals(-run.code).name}"
    return f"ended with exit {run.code}"
