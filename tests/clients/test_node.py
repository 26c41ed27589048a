"""`@ipld/car` and `ipfs-unixfs-exporter` (npm): whole model folders as CARs from the fake gateway, and from our writer.

`node/export.mjs` hashes every block itself and believes no root, so that what it prints was in the CAR and is proven.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from fakes import faults
from fakes.world import World
from fallback.ipfs import car
from fallback.ipfs.unixfs import PROFILES
from fallback.publish import tree
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.faults import Fault
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.unixfs import Profile
    from tests.clients.conftest import Run

    Export = Callable[..., Any]

FOLDER = ROOT / "tests/clients/node"
EXPORTER = "tests/clients/node/node_modules/.bin/ipfs-car"
"""That the packages are there is seen by the one that comes with a program."""

pytestmark = pytest.mark.needs("node", EXPORTER)

SIZES = {
    "config.json": 900,
    "empty.txt": 0,
    "onnx/exactly a MiB.bin": 2**20,
    "onnx/one more.bin": 2**20 + 1,
    "onnx/deep/ą/model.onnx": 7_500_000,
}


@pytest.fixture(name="models")
def _models() -> Iterator[World]:
    """A model with empty, whole and odd chunks, and one whose folder is sharded."""
    many = {f"many/{number:05} {'x' * 60}": 10 for number in range(3000)}
    models: dict[str, Any] = {
        name: {"files": {path: {"size": size} for path, size in files.items()}}
        for name, files in (("model", SIZES), ("many", many))
    }
    with World(models, size="full", gateways=1) as world:
        yield world


@pytest.fixture(name="export")
def _export(run: Run) -> Export:
    """(path, size, sha256) of every file below a root in the CAR at a URL or in a file."""

    def export(source: object, root: Cid | str, **options: Any) -> Any:
        done = run("node", str(FOLDER / "export.mjs"), str(source), str(root), **options)
        if done.returncode:
            return done.stderr
        return {
            file["path"]: (file["size"], file["sha256"]) for file in map(json.loads, done.stdout.splitlines())
        }

    return export


@pytest.mark.parametrize("name", ["model", "many"])
def test_a_whole_model_from_the_gateway(models: World, export: Export, name: str) -> None:
    model = models.manifest()[name]
    root = model["ipfs"]["cid"]
    got = export(f"{models.gateways[0]}/ipfs/{root}?format=car", root)
    assert got == {path: (file["size"], file["sha256"]) for path, file in model["files"].items()}


def test_one_file_and_one_folder_of_it(models: World, export: Export) -> None:
    """By their paths and by their own CIDs."""
    model = models.manifest()["model"]
    root, file = model["ipfs"]["cid"], model["files"]["onnx/one more.bin"]
    [only] = export(f"{models.gateways[0]}/ipfs/{file['cid']}?format=car", file["cid"]).values()
    assert only == (file["size"], file["sha256"])
    [below] = export(f"{models.gateways[0]}/ipfs/{root}/onnx/one%20more.bin?format=car", file["cid"]).values()
    assert below == only


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (faults.CarWrongBlock(block=3), "other bytes came"),
        (faults.CarMissingBlock(block=3), "it did not come"),
        (faults.CarCut(block=3), "it did not come"),
        (faults.CarCut(block=3, inside=True), "Unexpected end of data"),
        (faults.CarGiantLength(), ""),
        (faults.CarV2(), None),
        (faults.CarRoots(), None),
        (faults.CarReordered(), None),
        (faults.CarDuplicateBlock(), None),
        (faults.CarHugeBlock(), None),
    ],
    ids=lambda value: value.name if isinstance(value, faults.Fault) else "",
)
def test_a_fault_of_cars(models: World, export: Export, fault: Fault, says: str | None) -> None:
    """What an independent reader refuses, and what it bears (None); CARv2 and large blocks it reads, unlike ours."""
    model = models.manifest()["model"]
    root = model["ipfs"]["cid"]
    models.add("gateway1", fault)
    got = export(f"{models.gateways[0]}/ipfs/{root}?format=car", root, code=None)
    if says is None:
        assert got == {path: (file["size"], file["sha256"]) for path, file in model["files"].items()}
    else:
        assert isinstance(got, str)
        assert says in got


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_car_that_we_wrote(models: World, export: Export, tmp_path: Path, profile: Profile) -> None:
    right = {}
    for name in ("model", "many"):
        for path, blob in models.catalogue.models[name].files.items():
            target = tmp_path / "folder" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(blob.view())
            right[path] = (blob.size, blob.sha256)
    sections: list[bytes] = []
    made = tree.of_path(
        tmp_path / "folder", profile, lambda cid, block: sections.append(car.section(cid, block))
    )
    (tmp_path / "ours.car").write_bytes(b"".join([car.header([made.root.cid]), *sections]))
    assert export(tmp_path / "ours.car", made.root.cid) == right
    assert right["empty.txt"] == (0, hashlib.sha256().hexdigest())
