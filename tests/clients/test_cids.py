"""The CID of one folder by independent implementations: where they know a profile, all of them say the same.

| tool | unixfs-v1-2025 | unixfs-v0-2015 | kubo-default-cid-v1 |
|---|---|---|---|
| `fallback.publish.tree` | yes | yes | yes |
| `ipfs-unixfs-importer` (npm, JavaScript) | by name | by name | each part by its own option |
| `ipfs-car` (npm, JavaScript; a DAG writer of its own) | yes, but shards by the number of entries (1000), and keeps no empty folder | no | no |
| `aleph-cid` (PyPI, Rust; held against kubo by its makers) | no | yes | yes |

The folder has what they could differ in and leaves out what they do: no empty folder, no hidden name, no symbolic link,
and the one large folder is over everybody's limit.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import aleph_cid
import pytest

from fakes.content import make_blob
from fallback.ipfs import car, reading
from fallback.ipfs.cid import Cid
from fallback.ipfs.unixfs import KUBO_CID_V1, PROFILES, V0_2015, V1_2025
from fallback.publish import tree
from tests.clients.test_node import EXPORTER, FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.ipfs.unixfs import Profile
    from tests.clients.conftest import Run

pytestmark = pytest.mark.timeout(180)

NODE = pytest.mark.needs("node", EXPORTER)
MIB = 2**20
# As bytes of UTF-8 the fullwidth tilde comes before the emoji, as UTF-16 (which is text to JavaScript) behind it.
NAMES = ["B", "a", "a b", "a-b", "a.b", "ab", "ä", "\N{FULLWIDTH TILDE}", "\N{GRINNING FACE}"]
SIZES = {
    "empty": 0,
    "a MiB": MIB,
    "a MiB and one": MIB + 1,
    "large": 300_000_000,
    **{name: index for index, name in enumerate(NAMES, start=1)},
    "deep/er/est/file": 300_000,
    "deep/er/file": 3 * MIB,
    "deep/file": 1,
}
MANY = 4000
"""Entries of the folder that everybody shards: over 1000, over 256 KiB of links and of block."""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gone with the tests, for it is large."""
    folder, scratch = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("scratch")
    for path, size in SIZES.items():
        blob = make_blob(path, size, scratch)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(blob.path, folder / path)
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / "many" / f"{number:05} {'x' * 60}").write_text(str(number))
    yield folder
    (folder / "large").unlink()
    for made in scratch.iterdir():
        made.unlink()


@pytest.fixture(name="ours", scope="module")
def _ours(folder: Path) -> dict[str, str]:
    """Our CID by the profile's name."""
    return {name: str(tree.of_path(folder, profile).root.cid) for name, profile in PROFILES.items()}


def test_the_profiles_differ_on_this_folder(ours: dict[str, str]) -> None:
    assert len(set(ours.values())) == 3


@NODE
@pytest.mark.parametrize("profile", list(PROFILES))
def test_ipfs_unixfs_importer(run: Run, folder: Path, ours: dict[str, str], profile: str) -> None:
    assert run("node", str(FOLDER / "cid.mjs"), str(folder), profile).stdout.strip() == ours[profile]


@NODE
def test_ipfs_car(run: Run, folder: Path, ours: dict[str, str], tmp_path: Path) -> None:
    """The CID, and each block: our reader finds every file in its CAR."""
    made = run(EXPORTER, "pack", str(folder), "--output", "theirs.car").stdout.strip()
    assert made == ours[V1_2025.name]
    size = 0
    with (tmp_path / "theirs.car").open("rb") as stream:
        size = sum(len(block) for _, block in car.read(stream))
    assert size == tree.of_path(folder, V1_2025).root.tsize
    (tmp_path / "theirs.car").unlink()


@pytest.mark.parametrize(("profile", "version"), [(V0_2015, 0), (KUBO_CID_V1, 1)], ids=str)
def test_aleph_cid(folder: Path, ours: dict[str, str], profile: Profile, version: int) -> None:
    assert aleph_cid.hash_folder(str(folder), cid_version=version) == ours[profile.name]


@pytest.mark.parametrize(("profile", "version"), [(V0_2015, 0), (KUBO_CID_V1, 1)], ids=str)
def test_a_car_by_aleph_cid(folder: Path, tmp_path: Path, profile: Profile, version: int) -> None:
    """Our reader finds every file of a folder in it."""
    below = folder / "many"
    made = aleph_cid.write_folder_car(str(below), str(tmp_path / "theirs.car"), cid_version=version)
    assert made == str(tree.of_path(below, profile).root.cid)
    blocks = car.BlocksOf(io.BytesIO((tmp_path / "theirs.car").read_bytes()))
    found = {
        link.name: b"".join(reading.file(link.cid, blocks))
        for link in reading.entries(Cid.parse(made), blocks)
    }
    assert found == {f"{number:05} {'x' * 60}": b"%d" % number for number in range(MANY)}
