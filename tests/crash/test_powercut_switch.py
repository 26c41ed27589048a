"""The power goes at every point of an install and of an upgrade: one version or the other is in force, whole (P1, P2)."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fallback import BundleError, finish_upgrades, install_bundle
from fallback.waiting import INTENT
from tests.crash import powercut
from tests.crash.recording import Recording
from tests.crash.scenarios import SCENARIOS
from tests.crash.test_powercut import SEED, Play, _home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback import Settings
    from tests.crash.scenarios import Scenario
    from tests.crash.stage import Stage

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(300)]
__all__ = ["_home"]  # a fixture


class Switched(Play):
    """A recorded install or upgrade. A state is judged as a killed one is, then the next command has it, and again."""

    def lost_at_the_end(self) -> Iterator[str]:
        """Files that the manifest promises, and that a run which has ended well has not made to last."""
        done = self.recording.operations
        disk = powercut.cut(self.recording.before, done, len(done), powercut.all_is_lost).files()
        models_dir = self.scenario.stage.models_dir
        for model in json.loads(disk[f"{models_dir}/.manifests.json"]).values():
            for path, file in model["files"].items():
                held = disk.get(f"{models_dir}/{model['dir']}/{path}", b"")
                if hashlib.sha256(held).hexdigest() != file["sha256"]:
                    yield path

    def _judge(self, disk: powercut.Disk, point: int, where: str) -> None:  # noqa: ARG002 - as `Play` has it
        shutil.rmtree(self.home, ignore_errors=True)
        self.recording.laid_out(disk, self.home)
        there: Scenario = copy.copy(self.scenario)
        there.stage = replace(self.scenario.stage, folder=self.home)
        wrong = list(there.after_a_kill())
        assert not wrong, f"{where}: {wrong}"
        settings = replace(there.stage.settings, manifest=None)
        finish_upgrades(settings)
        wrong = list(there.after_a_kill())
        assert not wrong, f"{where}, and finished: {wrong}"
        if (self.home / "all.tar").exists():
            self._install(settings)
            wrong = list(there.after_the_next())
            assert not wrong, f"{where}, and installed: {wrong}"

    def _install(self, settings: Settings) -> None:
        """Once more, if a file that was half there had bytes that never were on the disk: that is known at its end."""
        with contextlib.suppress(BundleError):
            install_bundle(self.home / "all.tar", settings=settings, replace_models=True)
            return
        install_bundle(self.home / "all.tar", settings=settings, replace_models=True)


def play(stage: Stage, name: str, home: Path) -> Switched:
    scenario = SCENARIOS[name](stage)
    return Switched(scenario, Recording.of(scenario), home)


@pytest.mark.crash
@pytest.mark.parametrize("name", ["install", "upgrade"])
def test_one_version_is_in_force_after_a_power_cut(stage: Stage, home: Path, name: str) -> None:
    """Where something changes, from the moment on at which it is written down; `nightly` cuts everywhere."""
    played = play(stage, name, home)
    done = played.recording.operations
    begins = next(at for at, each in enumerate(done) if INTENT in each.path)
    played.cut(point for point in played.turning_points() if point >= begins)
    assert played.states > 20
    assert not list(played.lost_at_the_end())


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["install", "upgrade"])
def test_one_version_is_in_force_after_a_power_cut_at_every_operation(
    stage: Stage, home: Path, name: str
) -> None:
    """And with losses at random."""
    played = play(stage, name, home)
    played.cut(range(len(played.recording.operations) + 1), random=3)
    print(f"{name}: {len(played.recording.operations)} operations, {played.states} states, seed {SEED}")
