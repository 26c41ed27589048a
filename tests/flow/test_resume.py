"""Nothing that has come is fetched twice, across sources, layers, runs and kills; and nothing is ever spliced."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import fault_from_dict as from_json
from fallback import StoppedError, sync
from fallback.events import AttemptStarted
from tests.flow.told import ONNX, here, offsets, only, outcomes, partials, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event

SIZE = 3_000_000


def leave_partial(world: World, settings: Settings, manifest: Manifest) -> Path:
    """A run that failed after 2 MB of the large file, of which it got the first from gateway 1; all is well again."""
    world.add("gateway1", from_json({"name": "truncate", "offset": 2_000_000}), path=ONNX, nth=1)
    world.add("gateway1", from_json({"name": "status", "status": 404}), path=ONNX, nth=2)
    assert not sync(manifest, settings=only(settings, 1)).ok
    world.clear()
    world.journal.clear()
    [partial] = partials(settings)
    assert partial.stat().st_size == 2_000_000
    return partial


def test_a_cut_is_resumed_by_another_layer(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """One gateway breaks off and dies, no other has the file: HuggingFace goes on at the very byte."""
    world.add("gateway1", from_json({"name": "truncate", "offset": 1_500_000}), path=ONNX, nth=1)
    world.add("gateway1", from_json({"name": "status", "status": 404}), path=ONNX, nth=2)
    world.add("gateway[234]", from_json({"name": "status", "status": 404}), path=ONNX)
    told: list[Event] = []
    assert sync(manifest, settings=settings, observer=told.append).ok
    assert offsets(told)[-1] == ("huggingface", 1_500_000)
    assert world.journal.select(server="cdn")[-1].range == "bytes=1500000-"
    assert all_right()


def test_the_next_run_goes_on_where_the_last_one_ended(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    leave_partial(world, settings, manifest)
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 2), observer=told.append).ok
    assert offsets(told) == [("ipfs", 2_000_000)]
    assert all_right()
    assert not partials(settings)
    assert not list(settings.models_dir.rglob("*.ledger"))


def test_if_range_goes_to_the_host_whose_tag_it_is(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """Also in the next run; another host is asked by Range alone."""
    leave_partial(world, settings, manifest)
    world.add("gateway2", from_json({"name": "truncate", "offset": 100}), path=ONNX, nth=1)
    world.add("gateway2", from_json({"name": "status", "status": 404}), path=ONNX, nth=2)
    assert sync(manifest, settings=only(settings, 2, 1)).ok
    [other, own] = [world.journal.select(server=name, path=ONNX)[0] for name in ("gateway2", "gateway1")]
    assert (other.range, other.headers.get("if-range")) == ("bytes=2000000-", None)
    assert own.range == "bytes=2000100-"
    assert own.headers["if-range"].startswith('"')


@pytest.mark.fault(27, 28)
@pytest.mark.parametrize("damage", ["flipped", "longer", "whole"])
def test_bytes_of_an_earlier_run_are_hashed_before_they_count(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    damage: str,
) -> None:
    """P6: a partial that was tampered with costs a download, never a wrong file; nobody is blamed."""
    partial = leave_partial(world, settings, manifest)
    good = partial.read_bytes()
    bad = bytes([good[0] ^ 1]) + good[1:]
    partial.write_bytes(
        {"flipped": bad, "longer": good + bytes(SIZE), "whole": bad + bytes(SIZE - len(bad))}[damage]
    )
    told: list[Event] = []
    assert sync(manifest, settings=only(settings, 1), observer=told.append).ok
    assert all_right()
    assert "corrupt" not in outcomes(told)
    assert not partials(settings)


@pytest.mark.fault(27)
def test_a_whole_partial_needs_no_request(world: World, settings: Settings, manifest: Manifest) -> None:
    """A run killed between the last byte and the commit left all there is."""
    partial = leave_partial(world, settings, manifest)
    partial.write_bytes(world.catalogue.models["tiny"].files["onnx/model.onnx"].view())
    summary = sync(manifest, settings=only(settings, 1))
    assert summary.ok
    assert not world.journal.entries()
    assert [file.bytes_received for file in summary.files] == [0, 0]


def command(world: World, settings: Settings, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """The real command line for these settings."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(world.manifest()))
    given = [sys.executable, "-m", "fallback", "sync", "--json", "--manifest", str(path)]
    given += ["--models-dir", str(settings.models_dir), "--hf-endpoint", settings.hf_endpoint]
    for gateway in settings.gateways:
        given += ["--gateway", gateway]
    # A first byte that is late asks for no second body.
    told = {"TIMEOUT_S": "20", "PATIENCE_S": "20", "RESERVE_BYTES": "0"}
    return given, os.environ | {f"FALLBACK_{name}": value for name, value in told.items()}


def test_after_sigkill_the_next_run_goes_on(
    world: World, settings: Settings, tmp_path: Path, all_right: Callable[[], bool]
) -> None:
    """What was written before the kill is asked of nobody again."""
    rule = world.add("*", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX)
    args, environment = command(world, settings, tmp_path)
    with subprocess.Popen(args, env=environment, stdout=subprocess.DEVNULL) as process:
        until(lambda: len(here(settings)) > 0 and here(settings)[0] > 900_000)
        process.send_signal(signal.SIGKILL)
    world.remove(rule)
    world.journal.clear()
    [kept] = here(settings)
    done = subprocess.run(args, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert [entry.range for entry in world.journal.entries() if "onnx" in entry.path] == [f"bytes={kept}-"]
    assert all_right()
    assert not partials(settings)


def test_a_partial_of_a_living_process_is_left_alone(
    world: World, settings: Settings, manifest: Manifest, tmp_path: Path, all_right: Callable[[], bool]
) -> None:
    """Also when no lock holds anybody back: two writers never share an inode (P10)."""
    rule = world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000}), path=ONNX, first=1)
    args, environment = command(world, settings, tmp_path)
    with subprocess.Popen(args, env=environment, stdout=subprocess.DEVNULL) as process:
        until(lambda: len(here(settings)) > 0 and here(settings)[0] > 900_000)
        [theirs] = partials(settings)
        told: list[Event] = []
        assert sync(manifest, settings=replace(settings, lock_timeout_s=0), observer=told.append).ok
        assert offsets(told) == [("ipfs", 0)]
        assert theirs.exists()
        assert all_right()
        world.remove(rule)
        process.terminate()
        assert process.wait(10) == 143
    assert all_right()


def test_a_partial_removed_while_it_is_written_costs_nothing(
    world: World, settings: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Fault 105: somebody's cleaning takes the name away; the bytes are still ours."""
    world.add("gateway1", from_json({"name": "stall", "offset": 2_000_000, "seconds": 0.2}), path=ONNX)

    def clean(event: Event) -> None:
        if event.kind == "progressed":
            for path in partials(settings):
                path.unlink(missing_ok=True)

    assert sync(manifest, settings=settings, observer=clean).ok
    assert len(world.journal.select(server="gateway1")) == 2
    assert all_right()


def test_a_stopped_run_leaves_its_callers_event_alone(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """An event is the caller's: we read it, and a failure of ours does not set it."""
    import threading

    stop = threading.Event()

    def interrupt(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, StoppedError)):
        sync(manifest, settings=settings, observer=interrupt, stop=stop)
    assert not stop.is_set()


def test_sweep_keeps_what_the_manifest_still_wants(
    world: World, settings: Settings, manifest: Manifest
) -> None:
    """A partial of a missing file is kept however old; one that no manifest wants goes once it is idle."""
    partial = leave_partial(world, settings, manifest)
    unwanted = partial.with_name(f".gone.bin.{hashlib.sha256(b'gone').hexdigest()[:8]}-abcd.partial")
    unwanted.write_bytes(b"x")
    foreign = partial.with_name(".somebody.partial")
    foreign.write_bytes(b"x")
    for path in (partial, unwanted, foreign):
        os.utime(path, (0, 0))
    assert not sync(manifest, settings=replace(settings, offline=True)).ok
    assert partial.exists()
    assert not unwanted.exists()
    assert foreign.exists()
