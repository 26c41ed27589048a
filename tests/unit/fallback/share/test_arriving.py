"""What is given of a file that is on its way: chunks that are right as they stand, and nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from fallback.errors import ManifestError, Problem
from fallback.manifest import File, Manifest, Model
from fallback.share.arriving import AHEAD, Arrivals
from fallback.share.shelf import ChangedError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
DATA = b"".join(bytes([number]) * MIB for number in range(4)) + b"the rest"
SHA256 = hashlib.sha256(DATA).hexdigest()
CHUNKS = tuple(hashlib.sha256(DATA[start : start + MIB]).hexdigest() for start in range(0, len(DATA), MIB))


def arrivals(root: Path, chunks: tuple[str, ...] = CHUNKS) -> Arrivals:
    file = File(path="a.bin", size=len(DATA), sha256=SHA256, chunks=chunks)
    model = Model(name="m", type="t", dir="org/m", files=(file,))
    return Arrivals(root, lambda: Manifest((model,), name="here"))


@pytest.fixture(name="partial")
def _partial(tmp_path: Path) -> Path:
    """Two chunks and a half."""
    folder = tmp_path / "org/m"
    folder.mkdir(parents=True)
    partial = folder / f".a.bin.{SHA256[:8]}-aaaa.partial"
    partial.write_bytes(DATA[: 2 * MIB + MIB // 2])
    return partial


def test_whole_chunks_are_given_and_no_more(tmp_path: Path, partial: Path) -> None:
    offer = arrivals(tmp_path).take(SHA256)
    assert offer is not None
    assert offer.size == len(DATA)
    assert offer.reach(0, len(DATA)) == offer.reach(5, len(DATA)) == 2 * MIB
    assert offer.reach(10, 20) == 20
    assert offer.reach(2 * MIB, len(DATA)) == 2 * MIB
    assert offer.read(MIB - 5, MIB + 5) == DATA[MIB - 5 : MIB], "a chunk at a time"
    assert offer.read(MIB, MIB + 5) == DATA[MIB : MIB + 5]
    offer.close()
    assert partial.exists()


def test_a_wrong_chunk_ends_what_is_given_and_those_behind_it_are_not_lost(
    tmp_path: Path, partial: Path
) -> None:
    data = bytearray(DATA)
    data[MIB + 7] ^= 1
    partial.write_bytes(data)
    offer = arrivals(tmp_path).take(SHA256)
    assert offer is not None
    assert offer.reach(0, len(DATA)) == MIB
    assert offer.reach(MIB, len(DATA)) == MIB
    assert offer.reach(2 * MIB, len(DATA)) == len(DATA)
    with pytest.raises(ChangedError):
        offer.read(MIB, 2 * MIB)
    offer.close()


def test_a_chunk_that_is_written_over_meanwhile_is_not_given(tmp_path: Path, partial: Path) -> None:
    offer = arrivals(tmp_path).take(SHA256)
    assert offer is not None
    assert offer.reach(0, len(DATA)) == 2 * MIB
    with partial.open("r+b") as stream:
        stream.write(b"wrong")
    with pytest.raises(ChangedError):
        offer.read(0, MIB)
    offer.close()


def test_without_chunks_in_the_manifest_nobody_knows_what_is_right(tmp_path: Path, partial: Path) -> None:
    assert partial.exists()
    assert arrivals(tmp_path, ()).take(SHA256) is None
    assert arrivals(tmp_path).take("0" * 64) is None


def test_a_manifest_that_cannot_be_used_names_nothing(tmp_path: Path, partial: Path) -> None:
    def broken() -> Manifest:
        raise ManifestError("here", [Problem("file", "is broken")])

    assert partial.exists()
    assert Arrivals(tmp_path, broken).take(SHA256) is None


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path, partial: Path) -> None:
    root = tmp_path / "models"
    root.mkdir()
    (root / "org").symlink_to(partial.parents[1])
    assert arrivals(root).take(SHA256) is None
    partial.rename(partial.with_name("elsewhere"))
    partial.symlink_to(partial.with_name("elsewhere"))
    assert arrivals(tmp_path).take(SHA256) is None


def test_no_answer_makes_us_hash_without_end(tmp_path: Path) -> None:
    """A file of more chunks than are looked at ahead: who wants more asks again."""
    count = AHEAD + 3
    data = b"\0" * (count * MIB)
    sha256, chunk = hashlib.sha256(data).hexdigest(), hashlib.sha256(data[:MIB]).hexdigest()
    file = File(path="b.bin", size=len(data), sha256=sha256, chunks=(chunk,) * count)
    model = Model(name="m", type="t", dir="m", files=(file,))
    (tmp_path / "m").mkdir()
    with (tmp_path / "m" / f".b.bin.{sha256[:8]}-aaaa.partial").open("wb") as stream:
        stream.truncate(len(data))
    offer = Arrivals(tmp_path, lambda: Manifest((model,), name="here")).take(sha256)
    assert offer is not None
    assert offer.reach(MIB, len(data)) == (AHEAD + 1) * MIB
    offer.close()
