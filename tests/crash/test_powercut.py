"""The power goes at every point of a run: whatever the disk then holds, no wrong file is believed (P1, P2, P6)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fallback import sync
from tests.crash import powercut
from tests.crash.recording import Recording
from tests.crash.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.crash.operations import Operation
    from tests.crash.stage import Stage

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(300)]
LOSSES = {
    "nothing": powercut.nothing_is_lost,
    "all": powercut.all_is_lost,
    "bytes": powercut.bytes_are_lost,
    "names": powercut.names_are_lost,
}
SEED = "1"
MEMORY = "/dev/shm"
SYNCS = ("fresh", "repair", "update", "adopted")


class Adopted(Scenario):
    """Right files that somebody has just copied there, and synced nothing: they are hashed, and get a row."""

    def prepare(self) -> None:
        super().prepare()
        for name, data in self.stage.contents.items():
            self.stage.put(name, data)

    def record(self) -> Recording:
        return Recording.of(self, unsynced=self.stage.contents)


@dataclass
class Play:
    """A recorded run, and what is true of every state that a power cut leaves of it."""

    scenario: Scenario
    recording: Recording
    home: Path
    states: int = 0

    @classmethod
    def of(cls, stage: Stage, name: str, home: Path) -> Play:
        scenario = {**SCENARIOS, "adopted": Adopted}[name](stage)
        recording = scenario.record() if isinstance(scenario, Adopted) else Recording.of(scenario)
        return cls(scenario, recording, home)

    def turning_points(self) -> list[int]:
        """Before and after each sync and each change of a name, and at the end."""
        done = self.recording.operations
        near = {point for at, each in enumerate(done) if each.kind != "write" for point in (at, at + 1)}
        return sorted(near | {len(done)})

    def cut(self, points: Iterable[int], random: int = 0) -> None:
        """At each point with each loss, and with so many at random; equal states are looked at once."""
        seen: set[bytes] = set()
        for point in points:
            for name, loss in self._losses(point, random):
                disk = powercut.cut(self.recording.before, self.recording.operations, point, loss)
                mark = _mark(disk) + repr(sorted(self._committed(point))).encode()
                if mark not in seen:
                    seen.add(mark)
                    self._judge(disk, point, f"cut before operation {point}, lost: {name}")
        self.states += len(seen)

    def _losses(self, point: int, random: int) -> Iterator[tuple[str, Callable[[Operation], powercut.Fate]]]:
        yield from LOSSES.items()
        for number in range(random):
            seed = f"{SEED} {point} {number}"
            yield f"seed {seed}", powercut.at_random(seed)

    def _judge(self, disk: powercut.Disk, point: int, where: str) -> None:
        stage = self.scenario.stage
        shutil.rmtree(self.home, ignore_errors=True)
        files = self.recording.laid_out(disk, self.home)
        committed = self._committed(point)
        for name, data in stage.contents.items():
            under = files.get(f"models/{name}")
            if not isinstance(self.scenario, Adopted):
                assert under in {data, None, *self.scenario.old.get(name, ())}, (
                    f"{where}: {name} is torn (P1)"
                )
            assert under == data or name not in committed, f"{where}: {name} was committed (P2)"
        settings = replace(stage.settings, models_dir=self.home / "models", offline=True)
        for file in sync(stage.manifest, settings=settings).files:
            name = f"{stage.manifest.model(file.model).dir}/{file.path}"
            assert files[f"models/{name}"] == stage.contents[name], f"{where}: {name} is believed (P6)"

    def _committed(self, point: int) -> set[str]:
        """Files whose folder was synced after they got their names: what a run may tell to be there."""
        models, done = str(self.scenario.stage.models_dir), self.recording.operations[:point]
        folders = self.recording.before.names | {
            each.path: each.inode for each in done if each.kind == "mkdir"
        }
        return {
            each.to.removeprefix(f"{models}/")
            for at, each in enumerate(done)
            if each.kind == "rename"
            and any(
                later.kind == "sync" and later.inode == folders[os.path.dirname(each.to)]  # noqa: PTH120
                for later in done[at:]
            )
        }


def _mark(disk: powercut.Disk) -> bytes:
    mark = hashlib.sha256()
    for name, data in sorted(disk.files().items()):
        mark.update(f"{name} {len(data)} ".encode())
        mark.update(data)
    return mark.digest()


@pytest.fixture(name="home")
def _home() -> Iterator[Path]:
    """In memory where that is to be had: hundreds of folders are laid out, and each sync of them would cost."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Path(folder) / "cut"


@pytest.mark.parametrize("name", SYNCS)
def test_no_wrong_file_is_believed_after_a_power_cut(stage: Stage, home: Path, name: str) -> None:
    """At the points where something changes; `nightly` cuts at every one."""
    play = Play.of(stage, name, home)
    play.cut(play.turning_points())
    assert play.states > 20


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [*SYNCS, "cut", "warm"])
def test_no_wrong_file_is_believed_after_a_power_cut_at_every_operation(
    stage: Stage, home: Path, name: str
) -> None:
    """And with losses at random: writes out of order, torn, lengths without bytes."""
    play = Play.of(stage, name, home)
    play.cut(range(len(play.recording.operations) + 1), random=3)
    print(f"{name}: {len(play.recording.operations)} operations, {play.states} states, seed {SEED}")


def test_the_manifest_is_the_old_one_or_the_new_one_after_a_power_cut(stage: Stage, home: Path) -> None:
    """And the new one once its folder was synced."""
    play = Play.of(stage, "add", home)
    path, folder = str(stage.models_dir / ".manifests.json"), str(stage.models_dir)
    done = play.recording.operations
    named = next(at for at, each in enumerate(done) if each.to == path)
    lasts = next(
        at for at, each in enumerate(done) if at > named and (each.kind, each.path) == ("sync", folder)
    )
    for point in range(len(done) + 1):
        for name, loss in play._losses(point, 2):
            held = powercut.cut(play.recording.before, done, point, loss).files()[path]
            models = set(json.loads(held))
            assert models in ([{"voice", "made"}] if point > lasts else [{"voice"}, {"voice", "made"}]), name


def test_a_lost_sync_is_found_out(stage: Stage, home: Path) -> None:
    """The simulator itself: without its syncs, the same run does leave a wrong file that is believed."""
    play = Play.of(stage, "fresh", home)
    kept = tuple(
        each for each in play.recording.operations if "partial" not in each.path or each.kind != "sync"
    )
    play.recording = replace(play.recording, operations=kept)
    with pytest.raises(AssertionError, match="is torn"):
        play.cut(play.turning_points())
