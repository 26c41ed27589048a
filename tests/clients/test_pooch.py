from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World
    from tests.clients.conftest import Run

pytestmark = pytest.mark.needs("module:pooch")
SCRIPT = """
import json, pooch, sys
url, sha256, base = sys.argv[1:]
told = {"path": pooch.retrieve(url, known_hash=f"sha256:{sha256}", path="cache")}
registry = pooch.create("cache2", base, registry={"onnx/model one.onnx": sha256}, urls={"onnx/model one.onnx": url})
told["fetched"] = registry.fetch("onnx/model one.onnx")
try:
    pooch.retrieve(url, known_hash="sha256:" + "0" * 64, path="cache3")
except ValueError as error:
    told["wrong"] = str(error)
print(json.dumps(told))
"""


@pytest.mark.parametrize("source", ["gateway", "hub"])
def test_retrieve_and_fetch(
    world: World, run: Run, large: str, content: bytes, tmp_path: Path, source: str
) -> None:
    hub = f"{world.hub}/org/tiny/resolve/main/onnx/model%20one.onnx"
    sha256 = world.manifest()["tiny"]["files"]["onnx/model one.onnx"]["sha256"]
    done = run("python", "-c", SCRIPT, large if source == "gateway" else hub, sha256, world.hub)
    told = json.loads(done.stdout)
    assert (tmp_path / told["path"]).read_bytes() == content
    assert (tmp_path / told["fetched"]).read_bytes() == content
    assert "does not match the known hash" in told["wrong"]
    assert {entry.ended for entry in world.journal} == {"complete"}
