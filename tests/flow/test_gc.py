"""`fallback gc` beside a real sync: what is in use stays, the rest is told and goes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.faults import fault_from_dict as from_json
from tests.flow.told import ONNX, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.world import World
    from fallback import Settings


@pytest.fixture(name="command")
def _command(world: World, settings: Settings) -> Callable[..., list[str]]:
    settings.models_dir.mkdir()
    (settings.models_dir / ".manifests.json").write_text(json.dumps(world.manifest()))
    shared = [
        "--models-dir",
        str(settings.models_dir),
        "--gateway",
        world.gateways[0],
        "--hf-endpoint",
        world.hub,
    ]
    return lambda *words: [sys.executable, "-m", "fallback", *words, *shared]


ENVIRONMENT = os.environ | {
    "FALLBACK_PARTIAL_IDLE_S": "0",
    "FALLBACK_BAK_DAYS": "0",
    "FALLBACK_RESERVE_BYTES": "0",
    "FALLBACK_TIMEOUT_S": "4",
    "FALLBACK_PATIENCE_S": "20",
}


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30)


def lines(answer: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def put(folder: Path, path: str, size: int) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bytes(size))
    return target


def test_beside_a_sync_that_is_under_way(
    world: World, settings: Settings, command: Callable[..., list[str]], all_right: Callable[[], bool]
) -> None:
    """With no age at all to wait for: only what nobody uses goes, and the sync loses no byte."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX)
    old = [
        put(settings.models_dir, "org/tiny/.gone.bin.00000000-0123.partial", 70),
        put(settings.models_dir, "org/other/old.bin", 30),
    ]
    with subprocess.Popen(command("sync"), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as syncing:
        until(lambda: any(entry.bytes_sent >= 2_000_000 for entry in world.journal.entries()))
        planned = lines(run(command("gc", "--unnamed", "--dry-run", "--json")))
        assert [(each["path"], each["kind"], each["bytes"], each["state"]) for each in planned] == [
            ("org/other/old.bin", "unnamed", 30, "would be deleted"),
            ("org/tiny/.gone.bin.00000000-0123.partial", "partial", 70, "would be deleted"),
        ]
        assert all(path.exists() for path in old)
        gone = lines(run(command("gc", "--unnamed", "--yes", "--json")))
        assert [each | {"state": "would be deleted"} for each in gone] == [
            {**each, "age_days": gone[place]["age_days"]} for place, each in enumerate(planned)
        ]
        assert not any(path.exists() for path in old)
        world.remove(rule)
        _, said = syncing.communicate(timeout=30)
    assert syncing.returncode == 0, said
    assert all_right()
    ranges = [entry.range for entry in world.journal.select(path=ONNX, method="GET")]
    assert ranges[0] is None
    assert set(ranges[1:]) <= {"bytes=2000000-"}, "what had come was kept"


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True)])
def test_who_wants_unnamed_files_gone_is_asked(
    settings: Settings,
    command: Callable[..., list[str]],
    answer: str,
    left: bool,  # noqa: FBT001
) -> None:
    old = put(settings.models_dir, "org/other/old.bin", 30)
    theirs, ours = pty.openpty()
    with subprocess.Popen(
        command("gc", "--unnamed"),
        env=ENVIRONMENT,
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as asking:
        os.write(theirs, f"{answer}\n".encode())
        said, _ = asking.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert asking.returncode == 0, said
    assert "org/other/old.bin" in said
    assert "30 bytes" in said
    assert old.exists() == left


def test_nobody_to_ask(settings: Settings, command: Callable[..., list[str]]) -> None:
    old = put(settings.models_dir, "org/other/old.bin", 30)
    answer = run(command("gc", "--unnamed"))
    assert (answer.returncode, "--yes" in answer.stderr, old.exists()) == (2, True, True)
    answer = run(command("gc"))
    assert (answer.returncode, answer.stdout) == (0, "")
    assert "0 file(s) or folder(s), 0 bytes deleted" in answer.stderr
