from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.faults import Status, Truncate

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from tests.clients.conftest import Run

pytestmark = pytest.mark.needs("aria2c")
QUIET = ("--no-conf", "--console-log-level=warn", "--file-allocation=none", "--retry-wait=0", "-o", "got")


@pytest.fixture(name="aria2c")
def _aria2c(run: Run) -> Run:
    return lambda *arguments, code=0: run("aria2c", *QUIET, *arguments, code=code)


def test_four_segments_and_a_checksum(
    world: World, aria2c: Run, large: str, content: bytes, tmp_path: Path
) -> None:
    sha256 = world.manifest()["tiny"]["files"]["onnx/model one.onnx"]["sha256"]
    aria2c("-x4", "-s4", "-k1M", f"--checksum=sha-256={sha256}", large)
    assert (tmp_path / "got").read_bytes() == content
    assert 206 in {entry.status for entry in world.journal}
    aria2c("--allow-overwrite=true", f"--checksum=sha-256={'0' * 64}", large, code=32)


def test_the_hub_and_its_cdn(world: World, aria2c: Run, content: bytes, tmp_path: Path) -> None:
    aria2c("-x2", "-k1M", f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx")
    assert (tmp_path / "got").read_bytes() == content
    assert {entry.server for entry in world.journal} == {"hub", "cdn"}


def test_resume(world: World, aria2c: Run, large: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "got").write_bytes(content[:2_000_000])
    aria2c("-c", large)
    assert (tmp_path / "got").read_bytes() == content
    # It counts in pieces of 16 KiB, and trusts no piece that is not whole.
    last = world.journal[-1]
    assert (last.status, last.range) == (206, f"bytes={2_000_000 // 16384 * 16384}-2999999")


def test_a_cut_is_resumed_at_the_second_source(
    world: World, aria2c: Run, large: str, content: bytes, tmp_path: Path
) -> None:
    world.add("gateway1", Truncate(offset=1_500_000))
    hub = f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx"
    aria2c("-s2", "-k1M", "-m3", large, hub)
    assert (tmp_path / "got").read_bytes() == content


def test_errors(world: World, aria2c: Run, large: str) -> None:
    aria2c(f"{large}.nope", code=3)
    world.add("gateway1", Status(503))
    aria2c("-m2", large, code=29)
