from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.faults import Truncate

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from tests.clients.conftest import Run

pytestmark = pytest.mark.needs("wget")


@pytest.fixture(name="wget")
def _wget(run: Run) -> Run:
    return lambda *arguments, code=0: run("wget", "-nv", *arguments, code=code)


def test_a_file_from_the_gateway_and_from_the_hub(
    world: World, wget: Run, large: str, content: bytes, tmp_path: Path
) -> None:
    for url in (large, f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx"):
        wget("-O", "got", url)
        assert (tmp_path / "got").read_bytes() == content


def test_resume_within_a_run(world: World, wget: Run, large: str, content: bytes, tmp_path: Path) -> None:
    world.add("gateway1", Truncate(offset=1_000_000), first=1)
    wget("-t", "2", "--waitretry=0", "-O", "got", large)
    assert (tmp_path / "got").read_bytes() == content
    assert [(entry.range, entry.status) for entry in world.journal] == [(None, 200), ("bytes=1000000-", 206)]


def test_resume_in_a_later_run(world: World, wget: Run, large: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model one.onnx").write_bytes(content[:2_000_000])
    wget("-c", large)
    assert (tmp_path / "model one.onnx").read_bytes() == content
    assert world.journal.bytes_sent() == 1_000_000
    # It asks for what comes after the end, and takes the 416 for "nothing left to do".
    wget("-c", large)
    assert [entry.status for entry in world.journal] == [206, 416]


def test_a_folder_with_all_that_is_in_it(world: World, wget: Run, root: str, tmp_path: Path) -> None:
    """The listing is a page of links that a crawler can follow."""
    wget("-r", "-np", "-nH", "--cut-dirs=2", "-R", "index.html*", f"{root}/")
    model = world.catalogue.models["tiny"]
    got = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    got.pop(".wget-hsts", None)
    assert got == {path: bytes(blob.view()) for path, blob in model.files.items()}


def test_errors(wget: Run, root: str, large: str) -> None:
    wget("--spider", large)
    assert "404" in wget(f"{root}/nope.bin", code=8).stderr
