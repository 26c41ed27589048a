"""A model as a CAR: as large as was said, the same blocks that its CID names, and a file that changes is found out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from fallback.errors import StorageError
from fallback.ipfs import car, reading
from fallback.ipfs.unixfs import PROFILES
from fallback.manifest import Model
from fallback.publish.package import Package, car_bytes, car_of

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.ipfs.unixfs import Profile

FILES = {"a": b"", "b/c.bin": bytes(range(256)) * 9_000, "b/same": b"x" * 300_000, "same": b"x" * 300_000}


@pytest.fixture(name="paths")
def _paths(tmp_path: Path) -> dict[str, Path]:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in FILES}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_its_car_is_as_large_as_said_and_reads_back(paths: dict[str, Path], profile: Profile) -> None:
    """In an order that needs no block to be kept."""
    package = Package.of(Model("m", "m", "m", ()), paths, profile)
    data = b"".join(car_of([package]))
    assert len(data) == car_bytes([package])
    blocks = dict(car.read(io.BytesIO(data)))
    for name, content in FILES.items():
        cid = reading.resolve(package.root, name, blocks.__getitem__)
        assert b"".join(reading.file(cid, blocks.__getitem__)) == content


@pytest.mark.parametrize("change", [b"y" * 300_000, b"x" * 299_999, b""])
def test_a_file_that_changed_since_is_found_out(paths: dict[str, Path], change: bytes) -> None:
    """What is sent is what was proven, or nothing."""
    for profile in PROFILES.values():
        paths["same"].write_bytes(FILES["same"])
        paths["b/same"].write_bytes(FILES["same"])
        package = Package.of(Model("m", "m", "m", ()), paths, profile)
        for name in ("same", "b/same"):
            paths[name].write_bytes(change)
        with pytest.raises(StorageError, match="changed"):
            list(car_of([package]))
