"""A case on stage: a world with its faults, folders of their own, the job, and runs of the client in it.

A script drives it: `run()` a client to its end, or `start()` one and do something meanwhile. Each run is measured as
PROTOCOL.md says and judged by what is true of every run (`verdict.always`); what a case expects beside that is said with
`demand`. What was found wrong is in `problems`, so that one case can say all of it at once.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fakes.world import World

from . import verdict
from .around import wrapped
from .before import BEFORE
from .client import Process, limit_of
from .job import make_job, wanted
from .system import SYSTEMS
from .watch import Watch, state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from fakes.journal import Entry

    from .case import Case

UNSUPPORTED = 2
SEND_BUFFER = 1 << 18
"""So that the bytes sent are those that the client took, and not what a kernel holds for it."""


class UnsupportedError(Exception):
    """The client says that it does not do this: exit 2."""


@dataclass
class Run:
    """One run, measured: `files` is what each final name holds at the end, as `watch.state` says it."""

    job: dict[str, Any]
    output: Path
    is_alone: bool = True
    code: int | None = None
    seconds: float = 0.0
    was_killed: bool = False
    signalled: int | None = None
    entries: list[Entry] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    has_survivors: bool = False
    strange: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> list[str]:
        """Paths that hold exactly their file."""
        return [
            file["path"]
            for file in self.job["files"]
            if self.files.get(file["path"], "") == file.get("sha256")
        ]

    @property
    def all_right(self) -> bool:
        """Whether every file of the job is there and right."""
        return len(self.right) == len(self.job["files"])

    def asked(self, server: str = "*", path: str = "*") -> list[Entry]:
        """The requests for files, to servers and for paths of these globs, in order of arrival.

        Neither HEAD nor a question about proofs (`?format=raw`) is one of them; a connection that was ended before it
        could be asked anything is.
        """
        return [
            entry
            for entry in verdict.matching(self.entries, server, path)
            if verdict.is_ended_at_accept(entry)
            or (entry.method not in {"", "HEAD"} and "format=raw" not in entry.query)
        ]

    def sent(self, server: str = "*", path: str = "*") -> int:
        """Body bytes that these servers sent."""
        return sum(entry.bytes_sent for entry in verdict.matching(self.entries, server, path))


class Stage:
    """The scene of one case, inside `with`."""

    def __init__(self, case: Case, command: Sequence[str], sandbox: Path) -> None:
        self.case, self.command, self.sandbox = case, tuple(command), sandbox
        self.folder, self.state, self.outside = (sandbox / name for name in ("models", "state", "outside"))
        self.problems: list[str] = []
        self.runs: list[Run] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            for path in (self.folder, self.state, self.outside):
                path.mkdir()
            for name in self.case.system:
                opened.enter_context(SYSTEMS[name](self))
            self.world = opened.enter_context(World(models_of(self.case), **_options(self.case)))
            for rule in self.case.rules:
                self.world.add_rule(rule)
            self.files = wanted(self.world)
            self.job = self.make_job()
            for name in self.case.before:
                BEFORE[name](self)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def make_job(self, sources: Sequence[str] | None = None, **changes: Any) -> dict[str, Any]:
        """The case's job; what it needs of features, and what the case sets of fields, included."""
        folders: dict[str, Any] = {"folder": self.folder, "state": self.state}
        given = {"needs": list(self.case.needs), **_filled(self.case.job, self), **changes}
        return make_job(
            self.world,
            sources or self.case.sources,
            proofs=self.case.proofs,
            cids=self.case.cids,
            **{**folders, **given},
        )

    def target(self, number: int = 0) -> Path:
        """The final name of a file of the job."""
        return self.folder / self.files[number].path

    def run(self, job: dict[str, Any] | None = None, **options: Any) -> Run:
        """Run the client to its end; UnsupportedError if it says so. The options are those of `start`."""
        with self.start(job, **options) as (run, _):
            pass
        return run

    @contextlib.contextmanager
    def start(
        self,
        job: dict[str, Any] | None = None,
        *,
        verb: str = "fetch",
        watched: bool = True,
        also: Collection[str] = (),
        around: Sequence[str] | None = None,
    ) -> Iterator[tuple[Run, Process]]:
        """Run the client, with the block in the middle; the run is whole when the block is left.

        A job whose paths are not to be looked at is not `watched`. Digests that somebody else may put under a final
        name meanwhile are in `also`: then it does not count who was last. `around` is in place of the case's own.
        """
        job = job or self.job
        output = self.sandbox / f"run{len(self.runs) + 1}"
        output.mkdir()
        run = Run(job, output, is_alone=not also)
        self.runs.append(run)
        (output / "job.json").write_text(json.dumps(job, indent=1) + "\n")
        home = {"HOME": str(self.outside), "TMPDIR": str(self.sandbox), **_certificates(self)}
        names = self.case.around if around is None else around
        before = [word for name in names for word in wrapped(name, output)]
        command = [*before, *self.command, verb, "--job", str(output / "job.json")]
        paths = {file["path"]: Path(job["folder"], file["path"]) for file in job["files"] if watched}
        allowed: dict[Path, set[str]] = {path: {*also} for path in paths.values()}
        for file in job["files"] if watched else ():
            allowed[paths[file["path"]]].add(file["sha256"])
        run.before = {name: state(path) for name, path in paths.items()}
        seq = len(self.world.journal.entries())
        with (
            Watch(allowed) as watch,
            Process(command, folder=output, env={**home, **self.case.env}, limit_s=limit_of(job)) as process,
        ):
            yield run, process
            run.code = process.wait()
            run.has_survivors = process.survivors()
        run.seconds, run.was_killed, run.said = process.seconds, process.killed, process.said()
        run.entries = self.world.journal.entries()[seq:]
        run.seen = watch.problems
        run.files = {name: state(path) for name, path in paths.items()}
        run.strange = sorted(str(path) for path in self.outside.rglob("*"))
        if run.code == UNSUPPORTED:
            raise UnsupportedError
        self.problems += verdict.always(run)

    def demand(self, holds: object, problem: str) -> None:
        """Note the problem unless it holds."""
        if not holds:
            self.problems.append(problem)

    def judge(self, run: Run) -> None:
        """What the case expects of a run."""
        self.problems += verdict.of_case(run, self.case)

    def expect_right(self, run: Run) -> bool:
        """Exit 0 and every file right; whether it is so, for a script that cannot go on otherwise."""
        found = verdict.of_result(run, "right")
        self.problems += found
        return not found and run.all_right

    def until(self, what: Callable[[], object], process: Process, seconds: float = 15.0) -> bool:
        """Wait for it; False if the client ended before, or it did not come to pass."""
        ends_at = time.monotonic() + seconds
        while not what():
            if process.is_over or time.monotonic() > ends_at:
                return bool(what())
            time.sleep(0.005)
        return True


def models_of(case: Case) -> dict[str, Any] | None:
    """The small model of most cases; None is the fakes' own manifest of thirteen files."""
    if not case.files:
        return None
    repo = {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""}
    files = {path: {"size": size} for path, size in case.files.items()}
    return {"tiny": {"type": "stt", "dir": "org/tiny", "huggingface": repo, "files": files}}


def _options(case: Case) -> dict[str, Any]:
    given = {"size": "full" if case.files else "small", **case.world}
    # Large files need the kernel's own speed.
    is_small = case.files or given["size"] == "small"
    return {**({"send_buffer": SEND_BUFFER} if is_small else {}), **given}


def _certificates(stage: Stage) -> dict[str, str]:
    names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return dict.fromkeys(names, str(stage.world.ca)) if stage.world.ca else {}


def _filled(changes: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """The case's fields, with {sandbox} as this scene's own folder."""
    return {
        name: value.replace("{sandbox}", str(stage.sandbox)) if isinstance(value, str) else value
        for name, value in changes.items()
    }
