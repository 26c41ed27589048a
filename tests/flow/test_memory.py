"""Peak memory does not grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.faults import Bandwidth
from fakes.world import World
from fallback.segments import HELD

if TYPE_CHECKING:
    from pathlib import Path

MARGIN_KIB = 24 << 10
"""Buffers of a MiB on the way, and what an allocator keeps: a fortieth of the smaller of the two files."""

CHILD = """
import re, sys
from pathlib import Path
from fallback import Manifest, Settings, sync
path, folder, mode, *gateways = sys.argv[1:]
settings = Settings(models_dir=folder, gateways=tuple(gateways), hf_endpoint="http://127.0.0.1:9", reserve_bytes=0)
summary = sync(Manifest.load(path), settings=settings, rehash=mode == "rehash")
assert summary.ok, summary.failures
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak_kib(size: int, tmp_path: Path, *, rehash: bool = False, kb_s: float | None = None) -> int:
    """Peak resident memory of a process that syncs one file of `size` bytes, or hashes it again.

    `kb_s`: from four gateways that give so much a connection, or from one at full speed.

    From proc: the kernel's ru_maxrss would count what our own process held when it forked.
    """
    models = {"one": {"type": "stt", "dir": "one", "files": {"model.bin": {"size": size}}}}
    with World(models, size="full", gateways=1 if kb_s is None else 4) as world:
        if kb_s is not None:
            world.add("gateway*", Bandwidth(rate=kb_s))
        manifest = tmp_path / f"{size}.json"
        manifest.write_text(json.dumps(world.manifest()))
        command = [sys.executable, "-c", CHILD, str(manifest), str(tmp_path / f"{size}")]
        for mode in ["sync", "rehash"] if rehash else ["sync"]:
            done = subprocess.run(
                [*command, mode, *world.gateways], check=True, capture_output=True, text=True, timeout=300
            )
    return int(done.stdout)


@pytest.mark.parametrize("rehash", [False, True], ids=["sync", "rehash"])
def test_memory_is_flat_to_200_mb(tmp_path: Path, *, rehash: bool) -> None:
    small, large = (peak_kib(size, tmp_path, rehash=rehash) for size in (1_000_000, 200_000_000))
    assert large - small < MARGIN_KIB, (small, large)


BUNDLING = """
import hashlib, json, re, sys
from pathlib import Path
from fallback import Settings, create_bundle, install_bundle
folder, size, ending = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
(folder / "here/m").mkdir(parents=True)
digest = hashlib.sha256()
with (folder / "here/m/a.bin").open("wb") as stream:
    for at in range(0, size, 1 << 20):
        piece = hashlib.sha256(str(at).encode()).digest() * (1 << 15)
        stream.write(piece)
        digest.update(piece)
files = {"a.bin": {"size": (folder / "here/m/a.bin").stat().st_size, "sha256": digest.hexdigest()}}
(folder / "here/.manifests.json").write_text(json.dumps({"m": {"files": files}}))
create_bundle([], folder / f"m.tar{ending}", settings=Settings(models_dir=folder / "here", reserve_bytes=0))
(folder / "here/m/a.bin").unlink()
install_bundle(folder / f"m.tar{ending}", settings=Settings(models_dir=folder / "there", reserve_bytes=0))
(folder / "there/m/a.bin").unlink()
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("ending", ["", ".zst"])
def test_memory_is_flat_for_bundles_of_64_mib(tmp_path: Path, ending: str) -> None:
    """Made and installed, compressed or not."""
    peaks = []
    for size in (1 << 20, 64 << 20):
        (tmp_path / str(size)).mkdir()
        command = [sys.executable, "-c", BUNDLING, str(tmp_path / str(size)), str(size), ending]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] - peaks[0] < MARGIN_KIB, peaks


def test_memory_is_bounded_while_several_connections_bring_a_file(tmp_path: Path) -> None:
    """What waits for its turn, and no more: four times as much as that passes through."""
    small, large = peak_kib(1_000_000, tmp_path), peak_kib(4 * HELD, tmp_path, kb_s=8000)
    assert large - small < MARGIN_KIB + (HELD >> 10), (small, large)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_memory_is_flat_to_2_gb(tmp_path: Path) -> None:
    small, large = (peak_kib(size, tmp_path, rehash=False) for size in (1_000_000, 2_000_000_000))
    print(f"peak: {small} KiB for 1 MB, {large} KiB for 2 GB")
    assert large - small < MARGIN_KIB, (small, large)
