"""A state machine over processes on one folder: whatever they, their locks and somebody at the files do, no file is wrong.

Each step does something real: starts `fallback` in a process of its own, kills, stops or continues one, changes the manifest,
corrupts or deletes a file, makes a source slow. A thread looks at the files all the while.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fakes.faults import Dribble, Reset
from fakes.world import World
from tests.concurrency.processes import Process, Watched, bodies, environment

if TYPE_CHECKING:
    from tests.concurrency.processes import Locks

SIZES = {"a.bin": 300_000, "sub/b.bin": 40_000}
MODELS: dict[str, Any] = {
    name: {
        "type": "x",
        "dir": "shared",
        "huggingface": {"repo": f"org/{name}"},
        "files": {path: {"size": size + extra} for path, size in SIZES.items()},
    }
    for name, extra in (("old", 0), ("new", 7))
}
"""Two versions of one model: the same places, other bytes."""

COMMANDS = st.sampled_from([["sync"], ["sync", "--json"], ["verify"], ["verify", "--repair"], ["status"]])
MOST = 5
"""Processes at a time."""

DONE: Counter[str] = Counter()


class Machine(RuleBasedStateMachine):
    """One folder, its manifest, the processes at it, and a world that has both versions."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.models = self.folder / "models"
        self.processes: list[Process] = []
        self.locks: Locks = "work"
        self.is_disturbed = False
        self.world.clear()
        self.world.journal.clear()
        self.documents = {name: {name: model} for name, model in self.world.manifest().items()}
        self.places = {path: self.models / "shared" / path for path in SIZES}
        allowed = {
            place: {document[name]["files"][path]["sha256"] for name, document in self.documents.items()}
            for path, place in self.places.items()
        }
        self.watched = Watched(allowed)
        self.opened = contextlib.ExitStack()
        self.opened.callback(shutil.rmtree, self.folder)
        self.opened.enter_context(self.watched.during())
        self.version = "old"
        self._write_manifest()

    def _write_manifest(self) -> None:
        new = self.folder / "new.json"
        new.write_text(json.dumps(self.documents[self.version]))
        new.replace(self.folder / "manifest.json")

    def _start(self, command: list[str], **more: str) -> None:
        told = environment(self.world, self.models, MANIFEST=str(self.folder / "manifest.json"), **more)
        self.processes.append(Process(command, told, self.locks))
        DONE["processes"] += 1

    @initialize(
        locks=st.sampled_from(["work", "work", "fail", "lie"]), slow=st.booleans(), filled=st.booleans()
    )
    def begin(self, *, locks: Locks, slow: bool, filled: bool) -> None:
        self.locks = locks
        if filled:  # so that there is something to harm
            for path, place in self.places.items():
                [blob] = [each for each in self.world.catalogue.blobs() if len(each.view()) == SIZES[path]]
                place.parent.mkdir(parents=True, exist_ok=True)
                new = place.with_name("filling")
                new.write_bytes(blob.view())
                new.replace(place)
        self._start(["sync"])
        if slow:  # so that processes meet while a body is under way
            self.world.add("gateway1", Dribble(bytes_per_s=400_000))

    @precondition(lambda self: len(self.processes) < MOST)
    @rule(command=COMMANDS, count=st.integers(1, 3))
    def start(self, command: list[str], count: int) -> None:
        for _ in range(min(count, MOST - len(self.processes))):
            self._start(command)

    @precondition(lambda self: len(self.processes) < MOST)
    @rule()
    def start_two(self) -> None:
        """That meet."""
        for _ in range(min(2, MOST - len(self.processes))):
            self._start(["sync"])

    @precondition(lambda self: len(self.processes) < MOST)
    @rule()
    def sweep(self) -> None:
        """A sync for which everything left over is old."""
        self.is_disturbed = True
        self._start(["sync"], PARTIAL_IDLE_S="0", BAK_DAYS="0")

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """Wait for one, unless it is stopped."""
        process = data.draw(st.sampled_from(self.processes))
        if not process.is_stopped:
            self.processes.remove(process)
            assert process.ended() in {0, 1}

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), what=st.sampled_from(["kill", "stop", "go on"]))
    def signal(self, data: st.DataObject, what: str) -> None:
        process = data.draw(st.sampled_from(self.processes))
        DONE[what] += 1
        self.is_disturbed = True
        if what == "kill":
            self.processes.remove(process)
            process.kill()
        elif what == "stop":
            process.stop()
        else:
            process.go_on()

    @rule(path=st.sampled_from(sorted(SIZES)), what=st.sampled_from(["corrupt", "delete", "cut"]))
    def harm(self, path: str, what: str) -> None:
        """Somebody is at the file: their bytes are theirs, and may be seen until they are found out."""
        place = self.places[path]
        with contextlib.suppress(FileNotFoundError):
            held = bytearray(place.read_bytes())
            if what == "delete":
                place.unlink()
            elif what == "cut":
                self.watched.allowed[place].add(hashlib.sha256(held[:1000]).hexdigest())
                new = place.with_name("cut")
                new.write_bytes(held[:1000])
                new.replace(place)
            else:
                self._flip(place)
            self.is_disturbed = True
            DONE[what] += 1

    def _flip(self, place: Path) -> None:
        """One bit, in the bytes that are there, whoever reads them just now."""
        with place.open("r+b") as stream:
            held = bytearray(stream.read())
            held[900] ^= 1
            self.watched.allowed[place].add(hashlib.sha256(held).hexdigest())
            stream.seek(900)
            stream.write(held[900:901])

    @rule()
    def change_the_manifest(self) -> None:
        self.version = "new" if self.version == "old" else "old"
        self.is_disturbed = True
        self._write_manifest()
        DONE["manifest"] += 1

    @rule()
    def break_a_connection(self) -> None:
        self.is_disturbed = True
        self.world.add("gateway1", Reset(offset=20_000), first=1)

    def teardown(self) -> None:
        with self.opened:
            try:
                for process in self.processes:
                    process.go_on()
                assert {process.ended() for process in self.processes} <= {0, 1}
                if self.locks == "work" and not self.is_disturbed:
                    assert set(bodies(self.world).values()) <= {1}
                    DONE["undisturbed runs"] += 1
                self.world.clear()
                self._start(["verify", "--repair"])
                assert self.processes[-1].ended() == 0
                files = self.documents[self.version][self.version]["files"]
                for path, place in self.places.items():
                    assert hashlib.sha256(place.read_bytes()).hexdigest() == files[path]["sha256"]
            finally:
                for process in self.processes:
                    process.kill()
        DONE["looks"] += self.watched.looks
        assert not self.watched.wrong


def run(count: int, steps: int) -> None:
    """So many machines of so many steps in one world."""
    with World(MODELS, size="full", gateways=2) as world:
        Machine.world = world
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=count,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
            ),
        )
    print(dict(DONE))


@pytest.mark.timeout(600)  # each wait for a stopped holder of a lock is as long as its timeout
def test_processes_on_one_folder() -> None:
    run(3, 7)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_many_processes_on_one_folder() -> None:
    run(80, 25)
