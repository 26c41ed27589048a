"""Where nodes' workers are, by what a scheduler says at moments that are parameters; and one that says no more."""

from __future__ import annotations

from typing import Any

import pytest

from fallback.errors import FallbackError
from fallback.fleet.cluster import GRACE_S, LOOK_S, LOST_S, Node, Whereabouts
from fallback.fleet.driving import Drive
from fallback.fleet.tasks import Task
from fallback.fleet.waves import Waves

NODES = (Node("a", "10.0.0.1"), Node("b", 1), Node("c", "10.0.0.3"))


class Scheduler:
    """What a client knows of one: `workers` by address."""

    status = "running"

    def __init__(self, **workers: dict[str, Any] | None) -> None:
        self.workers: dict[str, Any] = workers

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "all of them"
        return {"workers": self.workers} if self.status == "running" else {}


def test_a_worker_that_is_away_too_long_is_lost_and_one_with_a_nanny_is_waited_for() -> None:
    plain = {"name": "tcp://x", "host": "10.0.0.1", "nanny": None}
    watched = {"name": 1, "host": "127.0.0.1", "nanny": "tcp://n"}
    scheduler = Scheduler(x=plain, y=watched)
    where = Whereabouts(scheduler, NODES)
    where.look(100.0)
    assert [where.of(name) for name in "abc"] == ["x", "y", None]
    scheduler.workers = {}
    where.look(100.0 + LOOK_S / 2)
    assert where.is_here("x"), "it is not asked all the time"
    now = 100.0 + LOOK_S
    where.look(now)
    assert [where.of(name) for name in "abc"] == [None] * 3
    assert not any(where.is_lost(name, now) for name in "abc")
    assert [where.is_lost(name, 100.0 + LOST_S + 0.1) for name in "abc"] == [True, False, False]
    assert [where.is_lost(name, 100.0 + GRACE_S + 0.1) for name in "abc"] == [True, True, True]
    scheduler.workers = {"z": watched}
    where.look(now + LOOK_S)
    assert (where.of("b"), where.is_lost("b", 1e9), where.is_here("y")) == ("z", False, False)


def test_a_scheduler_that_says_nothing_any_more_is_no_fault_of_this_machine() -> None:
    scheduler = Scheduler()
    scheduler.status = "closed"
    drive = Drive(
        scheduler,
        NODES,
        lambda names, _full: Waves(names, seeds=1, fanout=1),
        Task("{}", {}),
        lambda _standings: None,
    )
    with pytest.raises(FallbackError, match="the scheduler is gone"):
        drive.run(1)


def test_a_task_shows_no_token() -> None:
    """P7: Dask logs what a task that fails was called with."""
    assert "canary-task-1f09" not in repr(Task("{}", {}, token="canary-task-1f09"))
