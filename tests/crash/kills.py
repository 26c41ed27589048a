"""Kills a scenario's run once or more, looks at the folder after each kill, and lets the next run end by itself.

A point is `moment:F`, a part of the time that a whole run takes, or `GROUP:N`, when some thread enters
the Nth syscall of a group (`strace.CHANGES`). A campaign takes each scenario's points in an order that its
seed gives, every one before any comes again. Exclusions: what is right (`scenarios`, `folder`).
"""

from __future__ import annotations

import itertools
import random
import signal
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.world import World
from tests.crash import folder, strace
from tests.crash.scenarios import AT_ONCE, SCENARIOS
from tests.crash.stage import MODELS, Stage, ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.crash.scenarios import Scenario

MOMENTS = 0.25
"""The part of all kills that come at a moment, and not at a syscall."""
EARLIEST = 0.4
"""Before this part of a run an interpreter starts."""
TURNS = [
    *SCENARIOS,
    "fresh",
    "cut",
    "update",
    "repair",
    "upgrade",
    "get",
    "publish",
    "fresh",
    "cut",
    "update",
]
"""Scenarios in turn, those with the most points most often."""
KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


@dataclass
class Tally:
    """What was done, and what was wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    """Runs that had ended before their point came."""
    states: int = 0
    next_s: float = 0.0
    """Wall time of the last run that was left alone: moments are parts of it, and a machine may get busy."""
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what `other` did, too."""
        self.kills.update(other.kills)
        self.missed += other.missed
        self.states += other.states
        self.violations += other.violations


@dataclass(frozen=True)
class Census:
    """An undisturbed run of a scenario: its seconds, and the most calls of a group that one thread makes."""

    seconds: float
    calls: dict[str, int]

    @classmethod
    def of(cls, scenario: Scenario) -> Census:
        """Run it twice: once for its time, once to be counted."""
        scenario.prepare()
        began = time.monotonic()
        done = scenario.stage.run(*scenario.args)
        seconds = time.monotonic() - began
        assert done.code == 0, done.err
        scenario.prepare()
        log = scenario.stage.folder / "log"
        through = strace.writing(log, ",".join(strace.CHANGES.values()))
        assert scenario.stage.run(*scenario.args, through=through).code == 0
        groups = {name: group for group, names in strace.CHANGES.items() for name in names.split(",")}
        counted = Counter((call.pid, groups[call.name]) for call in strace.read(log))
        calls: dict[str, int] = {}
        for (_, group), count in counted.items():
            calls[group] = max(count, calls.get(group, 0))
        return cls(seconds, calls)


class Points:
    """The points of one scenario in the order of a seed: every syscall's, and moments in between."""

    def __init__(self, calls: dict[str, int], seed: str, *, worker: int, workers: int) -> None:
        self._random = random.Random(f"{seed} {worker}")
        every = [f"{group}:{number + 1}" for group, count in sorted(calls.items()) for number in range(count)]
        random.Random(seed).shuffle(every)
        self._syscalls = itertools.cycle(every[worker::workers] or every)

    def chain(self) -> tuple[str, ...]:
        """The points of one episode: mostly one kill, now and then two or three on top of each other."""
        return tuple(self._one() for _ in range(self._random.choice((1, 1, 2, 3))))

    def _one(self) -> str:
        if self._random.random() < MOMENTS:
            return f"moment:{self._random.uniform(EARLIEST, 1.1):.3f}"
        return next(self._syscalls)


def episode(scenario: Scenario, points: Sequence[str], seconds: float) -> Tally:
    """Kill the scenario's run at each point, one after another, and let one end by itself at last."""
    tally = Tally()
    scenario.prepare()
    where = f"{type(scenario).__name__.lower()} {' '.join(points)}"
    for point in points:
        if killed_at(scenario, point, seconds):
            tally.kills[f"{type(scenario).__name__.lower()}, {point.partition(':')[0]}"] += 1
        else:
            tally.missed += 1
        tally.states += 1
        tally.violations += [f"{where}, after {point}: {what}" for what in scenario.after_a_kill()]
    held = _held(scenario) if scenario.resumes else {}
    scenario.stage.world.journal.clear()
    began = time.monotonic()
    done = scenario.stage.run(*scenario.args, environment=AT_ONCE)
    tally.next_s = time.monotonic() - began
    tally.states += 1
    if done.code != 0:
        tally.violations.append(f"{where}: the next run ends with {done.code}: {done.err}")
    tally.violations += [f"{where}: {what}" for what in _asked_again(scenario, held)]
    tally.violations += [f"{where}: {what}" for what in scenario.after_the_next()]
    return tally


def killed_at(scenario: Scenario, point: str, seconds: float) -> bool:
    """Whether the run was killed there, and had not ended before."""
    kind, _, number = point.partition(":")
    if kind != "moment":
        through = strace.killing(strace.CHANGES[kind], int(number))
        return scenario.stage.run(*scenario.args, through=through).code in KILLED
    process = scenario.stage.start(*scenario.args)
    time.sleep(seconds * float(number))
    process.kill()
    return ended(process).code in KILLED


def _held(scenario: Scenario) -> dict[str, int]:
    """How many bytes of each file that is not there yet are on disk."""
    sizes = {
        name: max(map(len, folder.partials(scenario.stage, name)), default=0)
        for name in scenario.stage.contents
        if not (scenario.stage.models_dir / name).exists()
    }
    return {name: size for name, size in sizes.items() if size}


def _asked_again(scenario: Scenario, held: dict[str, int]) -> Iterator[str]:
    """Bytes on disk that the next run asked for all the same."""
    for name, size in held.items():
        asked = scenario.stage.world.journal.select(path=f"*/{Path(name).name}")
        if size == len(scenario.stage.contents[name]):
            if asked:
                yield f"{name}: was whole, and asked for again"
        elif not asked or asked[0].range != f"bytes={size}-":
            yield f"{name}: {size} bytes are on disk, and {asked[0].range if asked else None} was asked for"


def work(seed: str, kills: int, worker: int, workers: int) -> Tally:
    """One process's part of a campaign: kills in every scenario in turn."""
    tally = Tally()
    known: dict[str, tuple[Points, float]] = {}
    with World(MODELS, size="full", gateways=2) as world, tempfile.TemporaryDirectory() as home:
        stage = Stage(world, Path(home) / "stage")
        for name in itertools.cycle(TURNS):
            if tally.kills.total() >= kills:
                return tally
            scenario = SCENARIOS[name](stage)
            if name not in known:
                census = Census.of(scenario)
                points = Points(census.calls, f"{seed} {name}", worker=worker, workers=workers)
                known[name] = points, census.seconds
            points, seconds = known[name]
            played = episode(scenario, points.chain(), seconds)
            known[name] = points, (seconds + played.next_s) / 2
            tally.add(played)
    raise AssertionError("a cycle has no end")


def campaign(seed: str, kills: int, workers: int) -> Tally:
    """At least so many kills, by several processes, each with a world of its own."""
    share = -(-kills // workers)
    tally = Tally()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for part in [pool.submit(work, seed, share, worker, workers) for worker in range(workers)]:
            tally.add(part.result())
    return tally


def replayed(name: str, points: Sequence[str]) -> Tally:
    """One episode once more, by its scenario and its points."""
    with World(MODELS, size="full", gateways=2) as world, tempfile.TemporaryDirectory() as home:
        scenario = SCENARIOS[name](Stage(world, Path(home) / "stage"))
        timed = any(point.startswith("moment") for point in points)
        return episode(scenario, points, Census.of(scenario).seconds if timed else 0.0)
