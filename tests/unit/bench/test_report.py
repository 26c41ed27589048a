from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from bench import goals, report, running
from bench.process import Measured, NotDoneError
from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

OURS = [Measured(seconds, 1.0, 50_000_000, 0, wire_bytes=100, requests=1) for seconds in (3.0, 1.0, 2.0)]
THEIRS = [Measured(3.0, 2.0, 9_000_000, 0).verified(Measured(1.0, 0.5, 5_000_000, 0))] * 3


def test_ratios_are_of_medians_and_the_proof_is_shown_apart() -> None:
    rows = report.rows({"fallback": OURS, "curl": THEIRS}, 1000)
    assert rows["fallback"]["seconds"] == 2.0
    assert rows["curl"]["seconds"] == 4.0
    assert rows["curl"]["verify_seconds"] == 1.0
    assert rows["curl"]["cpu_seconds"] == 2.5
    assert rows["curl"]["peak_rss_mb"] == 9.0
    assert (rows["curl"]["ours_over_theirs"], rows["curl"]["ours_over_bare"]) == (0.5, 0.667)
    told = report.table("cold", "what", rows)
    assert "fallback" in told
    assert "0.50" in told


def test_two_processes_one_after_the_other_are_one() -> None:
    both = Measured(1, 2, 30, 0).then(Measured(10, 20, 3, 7))
    assert both == Measured(11, 22, 30, 7)


def test_a_proof_that_fails_fails_the_client() -> None:
    assert Measured(1, 1, 1, 0).verified(Measured(1, 1, 1, 1)).code == 1


def test_goals_are_told_of_where_their_figures_are_and_only_there() -> None:
    figures = {"cold": report.rows({"fallback": OURS, "curl -Z": THEIRS}, 1000)}
    reached = {one.goal.what: one.value for one in goals.reached(figures)}
    assert reached["cold / curl -Z alone, unverified: wall"] == 0.667
    assert reached["cold: peak MB"] == 50.0
    assert all(value is None for what, value in reached.items() if "pooch" in what)
    some = list(goals.reached({"cold": report.rows({"fallback": OURS, "pooch": OURS}, 1)}))
    lines = report.goal_table(some).splitlines()
    assert lines[1].startswith("cold / pooch: wall")
    assert lines[1].endswith("NOT MET")  # a ratio of 1 where 0.4 is wanted
    assert lines[2].startswith("cold: peak MB")
    assert lines[2].endswith("   met")
    assert lines[3] == f"1 of 2 goals are met; {len(goals.GOALS) - 2} were not measured"
    assert len(lines) == 4


def test_every_goal_speaks_of_scenarios_and_clients_that_exist() -> None:
    """With figures of everything no goal is without a value."""
    figures = {
        name: report.rows(dict.fromkeys((*one.clients, *(one.variants or {})), OURS), 1000)
        for name, one in SCENARIOS.items()
    }
    assert [one.goal.what for one in goals.reached(figures) if one.value is None] == []


def test_goals_of_memory_are_of_scenarios_before_those_that_make_the_benchmark_large() -> None:
    """A child's peak starts at its parent's, and ten thousand files' manifest is 40 MB of ours."""
    assert list(SCENARIOS)[-2:] == ["1k-small-files", "10k-small-files"]
    assert not any("small files" in goal.what for goal in goals.GOALS if "peak" in goal.what)


def test_a_comparison_is_of_ratios_and_of_what_both_have() -> None:
    now = {"cold": report.rows({"fallback": OURS, "curl": THEIRS, "wget": OURS}, 1)}
    then = {"cold": {"curl": {"ours_over_theirs": 1.0}}}
    told = report.against(then, now).splitlines()
    assert told[1].split() == ["cold", "curl", "1.00", "0.50", "0.50"]
    assert len(told) == 2


class Bare(running.Stage):
    """A scenario without its servers."""

    def __init__(self, name: str) -> None:
        self.scenario = SCENARIOS[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_engine_is_measured_whoever_is_chosen(name: str) -> None:
    """It comes first: the others' figures are ratios to its, and goals are of it."""
    stage = Bare(name)
    assert list(stage.entries(["netscape"])) == [stage.scenario.clients[0]]
    assert stage.scenario.clients[0].startswith("fallback")
    assert next(iter(stage.entries(["requests loop", "fallback"]))) == stage.scenario.clients[0]


class Slow(running.Stage):
    """Entries of which one takes long; nothing is run."""

    def __init__(self) -> None:
        self.took = {"fallback": 1.0, "aria2c": 30.0}

    def entries(self, chosen: Collection[str]) -> dict[str, tuple[str, int]]:
        return {name: (name, 1) for name in chosen}

    def measure(self, client: str, gateways: int) -> Measured:
        if client not in self.took:
            raise NotDoneError("exit code 9")
        return Measured(self.took[client], 0.0, 0, 0, requests=gateways)


@pytest.mark.parametrize(("most_s", "times"), [(1.0, 1), (20.0, 2), (50.0, 3), (100.0, 4), (1000.0, 7)])
def test_what_takes_long_is_measured_less_often(most_s: float, times: int) -> None:
    told: list[str] = []
    results = running.measured(Slow(), ["fallback", "aria2c"], 7, most_s, told.append)
    assert len(results["aria2c"]) == times
    assert len(results["fallback"]) == (7 if most_s > 7 else 2)
    assert len(told) == sum(map(len, results.values()))
    assert len(running.measured(Slow(), ["aria2c"], 1, most_s, told.append)["aria2c"]) == 1


def test_who_does_not_do_his_work_is_left_out_and_said_and_the_others_are_measured() -> None:
    """Half an hour's figures are not lost for one of them; ratios to an engine that failed are none."""
    told: list[str] = []
    results = running.measured(Slow(), ["fallback", "wget"], 3, 1000.0, told.append)
    assert {name: len(runs) for name, runs in results.items()} == {"fallback": 3}
    assert [each for each in told if "left out" in each] == ["wget is left out: exit code 9"]
    assert running.measured(Slow(), ["wget", "fallback"], 3, 1000.0, told.append) == {}


@pytest.mark.parametrize(("repeat", "first"), [(0, "a"), (1, "b"), (5, "c")])
def test_clients_take_turns_at_being_first(repeat: int, first: str) -> None:
    turns = running.turns(["a", "b", "c"], repeat)
    assert turns[0] == first
    assert sorted(turns) == ["a", "b", "c"]


def test_a_table_says_what_is_in_the_time_after_a_client() -> None:
    """Its proof, and of one entry the fsync too."""
    note = "curl -Z + fsync: its verify has the fsync in it"
    assert note in report.table("cold", "", report.rows({"fallback": OURS, "curl -Z + fsync": THEIRS}, 1))
    assert "fsync" not in report.table("cold", "", report.rows({"fallback": OURS, "curl -Z": THEIRS}, 1))


def test_what_cannot_be_written_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "bench.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        report.write(tmp_path / "bench.json", {})
    with pytest.raises(TypeError):
        report.write(tmp_path / "other.json", {"figures": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


def test_a_folder_is_made_and_probed_without_a_trace(tmp_path: Path) -> None:
    report.probe(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        report.probe(tmp_path / "file")


def test_a_folder_without_room_is_found_out(tmp_path: Path) -> None:
    """A limit on a file's size stands for a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            report.probe(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    report.write(tmp_path / "new" / "bench.json", {"figures": {}})
    assert (tmp_path / "new" / "bench.json").read_text() == '{\n  "figures": {}\n}\n'
