"""The real command line, killed anywhere: nothing wrong is there or believed, and the next run puts all right."""

from __future__ import annotations

import os
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from fakes.faults import Stall
from fallback.verify import BUFFER
from tests.crash import folder
from tests.crash.__main__ import report
from tests.crash.kills import campaign, replayed
from tests.crash.stage import LARGE, ended
from tests.flow.told import until

if TYPE_CHECKING:
    from tests.crash.stage import Stage

pytestmark = [pytest.mark.needs("strace"), pytest.mark.timeout(300)]
SEED = os.environ.get("FALLBACK_TEST_SEED") or secrets.token_hex(4)


def survive(kills: int, workers: int) -> None:
    tally = campaign(SEED, kills, workers)
    print(f"seed {SEED}\n{report(tally, 0)}")
    assert not tally.violations, f"seed {SEED}: " + "\n".join(tally.violations)
    assert tally.kills.total() >= kills


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_fifty_kills() -> None:
    survive(50, workers=2)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_thousand_kills() -> None:
    """In every scenario: at syscalls, none twice before each had its turn, and at about 250 moments."""
    survive(1000, workers=3)


@pytest.mark.fault(97)
@pytest.mark.parametrize(
    "points",
    [("rename:1",), ("fsync:2",), ("write:7", "write:7"), ("pwrite64:40",)],
    ids=["before the name", "before the folder", "in the body, twice", "in the database"],
)
def test_a_kill_at_the_worst_of_times(points: tuple[str, ...]) -> None:
    """A few of the campaign's, for every run of the tests."""
    tally = replayed("fresh", points)
    assert not tally.violations
    assert (
        tally.kills.total()
    )  # how many pieces a body comes in is the network's to say: the second may have ended


def test_of_what_was_received_at_most_a_buffer_is_fetched_again(stage: Stage) -> None:
    """Killed while the source is silent: all it had sent has come, and what is not on disk is less than a buffer."""

    def held() -> int:
        return max(map(len, folder.partials(stage, LARGE)), default=0)

    stage.world.add("gateway1", Stall(offset=1_250_000), path="*.onnx", first=1)
    process = stage.start("sync", environment={"FALLBACK_TIMEOUT_S": "30"})
    journal = stage.world.journal
    until(lambda: any(entry.bytes_sent == 1_250_000 for entry in journal.entries()))
    until(lambda: 1_250_000 - held() < BUFFER)
    process.kill()
    assert ended(process).code == -signal.SIGKILL
    on_disk = held()
    assert stage.run("sync").code == 0
    again = journal.select(path="*.onnx")[-1].range
    assert again == f"bytes={on_disk}-"
    assert (stage.models_dir / LARGE).read_bytes() == stage.contents[LARGE]
