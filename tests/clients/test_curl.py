from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.faults import Status, Truncate
from fakes.world import World
from tests.clients.conftest import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Run

pytestmark = pytest.mark.needs("curl")


@pytest.fixture(name="curl")
def _curl(run: Run) -> Run:
    return lambda *arguments, code=0: run("curl", "-sS", *arguments, code=code)


def test_a_file_from_the_gateway_and_from_the_hub(
    world: World, curl: Run, large: str, content: bytes, tmp_path: Path
) -> None:
    for url in (large, f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx"):
        curl("-fL", "-o", "got", url)
        assert (tmp_path / "got").read_bytes() == content
    assert {entry.ended for entry in world.journal} == {"complete"}


def test_resume(world: World, curl: Run, large: str, content: bytes, tmp_path: Path) -> None:
    """An answer that breaks off is exit code 18, and `-C -` gets the rest and no more; at the end there is none."""
    world.add("gateway1", Truncate(offset=1_000_000), first=1)
    curl("-f", "-o", "got", large, code=18)
    assert (tmp_path / "got").read_bytes() == content[:1_000_000]
    curl("-f", "-C", "-", "-o", "got", large)
    assert (tmp_path / "got").read_bytes() == content
    assert [(entry.range, entry.status, entry.bytes_sent) for entry in world.journal] == [
        (None, 200, 1_000_000),
        ("bytes=1000000-", 206, 2_000_000),
    ]


def test_resume_through_the_hubs_redirect(world: World, curl: Run, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "got").write_bytes(content[:2_999_999])
    curl("-fL", "-C", "-", "-o", "got", f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx")
    assert (tmp_path / "got").read_bytes() == content
    assert [(entry.server, entry.status, entry.bytes_sent > 1) for entry in world.journal] == [
        ("hub", 302, True),
        ("cdn", 206, False),
    ]


@pytest.mark.parametrize(
    ("asked", "part"), [("0-0", slice(1)), ("100-199", slice(100, 200)), ("-5", slice(-5, None))]
)
def test_ranges(curl: Run, large: str, content: bytes, tmp_path: Path, asked: str, part: slice) -> None:
    curl("-f", "-r", asked, "-o", "got", large)
    assert (tmp_path / "got").read_bytes() == content[part]


def test_an_entity_tag_saves_the_second_download(world: World, curl: Run, large: str, tmp_path: Path) -> None:
    for _ in range(2):
        curl("-f", "--etag-compare", "tag", "--etag-save", "tag", "-o", "got", large)
    assert [entry.status for entry in world.journal] == [200, 304]
    assert (tmp_path / "got").stat().st_size == 3_000_000


def test_heads(curl: Run, large: str) -> None:
    head = curl("-I", large).stdout.lower()
    assert "\ncontent-length: 3000000\n" in head
    assert "x-ipfs-roots: " in head
    assert "allow: get, head, options" in curl("-i", "-X", "OPTIONS", large).stdout.lower()


def test_a_folder(curl: Run, root: str) -> None:
    assert curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", root).stdout == f"301 {root}/"
    assert "model%20one.onnx" in curl("-fL", f"{root}/onnx").stdout


def test_errors_and_retries(world: World, curl: Run, large: str, content: bytes, tmp_path: Path) -> None:
    curl("-f", f"{large}.nope", code=22)
    world.add("gateway1", Status(503, retry_after=1), first=1)
    curl("-f", "--retry", "2", "-o", "got", large)
    assert (tmp_path / "got").read_bytes() == content


def test_a_subdomain_of_localhost(curl: Run, tmp_path: Path) -> None:
    """The program itself knows that every name under localhost is loopback."""
    with World(MODELS, size="full", gateways=1, gateway_modes={"gateway1": "subdomain"}) as world:
        model = world.catalogue.models["tiny"]
        url = f"{world.gateways[0]}/ipfs/{model.cid}/config.json"
        done = curl("-fL", "-o", "got", "-w", "%{num_redirects} %{url_effective}", url)
        assert done.stdout.startswith(f"1 http://{model.cid}.ipfs.localhost:")
        assert (tmp_path / "got").read_bytes() == bytes(model.files["config.json"].view())
