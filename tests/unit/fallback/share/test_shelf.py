"""What may be given away: vouched for, untouched since, and inside the models folder."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from fallback.share.shelf import ChangedError, Shelf, rows_in
from fallback.state import State
from fallback.state.verified import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = b"right bytes" * 100
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    (tmp_path / "models/org").mkdir(parents=True)
    return tmp_path / "models"


@pytest.fixture(name="vouch")
def _vouch(root: Path) -> Iterator[Callable[[str], Path]]:
    """Writes the bytes at a path, and the row that vouches for them."""
    with State(root / ".fallback", pytest.fail) as state:

        def vouch(path: str) -> Path:
            target = root / path
            target.write_bytes(DATA)
            about = target.stat()
            marks = (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
            state.verified.put(path, Row(*marks, SHA256, 1.0, "ipfs", "g"))
            assert state.verified.get(path), "it is written"
            return target

        yield vouch


@pytest.fixture(name="shelf")
def _shelf(root: Path) -> Shelf:
    return Shelf(root, rows_in(root / ".fallback", pytest.fail))


def test_a_vouched_file_is_given_by_its_digest(shelf: Shelf, vouch: Callable[[str], Path]) -> None:
    vouch("org/a.bin")
    offer = shelf.take(SHA256)
    assert offer is not None
    assert (offer.size, offer.reach(5, 50)) == (len(DATA), 50)
    assert offer.read(5, 50) == DATA[5:50]
    offer.close()
    assert shelf.take("0" * 64) is None


def test_without_a_database_nothing_is_given_and_none_is_made(shelf: Shelf, root: Path) -> None:
    (root / "org/a.bin").write_bytes(DATA)
    assert shelf.take(SHA256) is None
    assert not (root / ".fallback").exists()


def _grow(path: Path) -> None:
    path.write_bytes(DATA + b"!")


def _rewrite(path: Path) -> None:
    about = path.stat()
    path.write_bytes(DATA)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # the ctime tells


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _move_folder_out(path: Path) -> None:
    outside = path.parents[2] / "outside"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)


@pytest.mark.parametrize("spoil", [_grow, _rewrite, _link, _pipe, _move_folder_out, os.unlink])
def test_what_its_row_does_not_describe_is_not_given(
    shelf: Shelf, vouch: Callable[[str], Path], spoil: Callable[[Path], None]
) -> None:
    spoil(vouch("org/a.bin"))
    assert shelf.take(SHA256) is None


def test_another_file_of_the_same_bytes_takes_its_place(shelf: Shelf, vouch: Callable[[str], Path]) -> None:
    _grow(vouch("org/a.bin"))
    vouch("org/b.bin")
    offer = shelf.take(SHA256)
    assert offer is not None
    offer.close()


@pytest.mark.parametrize("path", ["../outside.bin", "/etc/hostname", "org/../org/a.bin"])
def test_a_row_that_leads_outside_is_no_shared_file(
    shelf: Shelf, root: Path, vouch: Callable[[str], Path], path: str
) -> None:
    """`fallback get` keeps rows of whole paths in the same table."""
    target = vouch("org/a.bin")
    about = target.stat()
    marks = (about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    with State(root / ".fallback", pytest.fail) as state:
        state.verified.drop("org/a.bin")
        state.verified.put(path, Row(*marks, SHA256, 1.0, "mirror", "m"))
    if path.startswith("../"):
        target.rename(root.parent / "outside.bin")
    assert shelf.take(SHA256) is None


def test_a_file_that_is_written_to_is_given_no_further(shelf: Shelf, vouch: Callable[[str], Path]) -> None:
    target = vouch("org/a.bin")
    offer = shelf.take(SHA256)
    assert offer is not None
    with target.open("r+b") as stream:
        stream.write(b"wrong")
    with pytest.raises(ChangedError):
        offer.read(0, 10)
    offer.close()


def test_a_file_whose_name_goes_is_given_to_its_end(shelf: Shelf, vouch: Callable[[str], Path]) -> None:
    target = vouch("org/a.bin")
    offer = shelf.take(SHA256)
    assert offer is not None
    target.unlink()
    assert offer.read(0, 10) == DATA[:10]
    offer.close()
