"""What another run left, spoiled: a partial of any bytes, a ledger of any bytes. It is proven, or it is nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.world import World
from fallback import Manifest, Settings, sync
from tests.hostile.fuzzing import examples, misedited, spoiled, tried

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 20_000
LEDGER = (
    {"ledger": 1, "pure": False},
    {"start": 0, "layer": "ipfs", "source": "a.example", "etag": '"x"', "host": "a.example", "stop": None},
    {"start": 5000, "layer": "huggingface", "source": "b", "etag": None, "host": "", "stop": 6000},
)


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    models = {"tiny": {"type": "stt", "dir": "tiny", "files": {"a.bin": {"size": SIZE}}}}
    with World(models, size="full", gateways=1) as world:
        yield world


@examples(15)
@given(data=st.data())
def test_a_partial_and_its_ledger(world: World, tmp_path: Path, data: st.DataObject) -> None:
    """The file comes right from the one good source, whatever lies there, and nothing of it is left."""
    manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
    [(_, file)] = manifest.files()
    good = bytes(world.catalogue.blobs()[0].view())
    folder = tmp_path / "models/tiny"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.bin").unlink(missing_ok=True)
    assert file.sha256 is not None
    stem = f".a.bin.{file.sha256[:8]}-{data.draw(st.sampled_from(['0000', 'beef']))}"
    partial = data.draw(spoiled(good[: data.draw(st.integers(1, SIZE))]) | st.binary(max_size=SIZE + 10))
    (folder / f"{stem}.partial").write_bytes(partial)
    lines = [data.draw(misedited(line)) for line in LEDGER]
    written = "\n".join(json.dumps(line) for line in lines).encode() + b"\n"
    (folder / f"{stem}.ledger").write_bytes(
        data.draw(spoiled(written)) if data.draw(st.booleans()) else written
    )
    settings = Settings(
        models_dir=tmp_path / "models", gateways=tuple(world.gateways), hf_endpoint="http://127.0.0.1:9",
        reserve_bytes=0, backoff_s=0.01, timeout_s=2, max_wait_s=0.1,
    )  # fmt: skip
    with tried("partial and ledger"):
        summary = sync(manifest, settings=settings)
        assert summary.ok, summary.failures
    assert hashlib.sha256((folder / "a.bin").read_bytes()).hexdigest() == file.sha256
    assert [each.name for each in folder.iterdir()] == ["a.bin"]
