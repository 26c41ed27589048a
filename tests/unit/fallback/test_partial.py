import errno
import os
from pathlib import Path

import pytest

from fallback.ledger import Response
from fallback.manifest import File
from fallback.partial import WRITEBACK_BYTES, Partial

MIB = 1 << 20
PIECE = bytes(MIB)


@pytest.fixture
def partial(tmp_path: Path) -> Partial:
    return Partial.fresh(tmp_path / "a.bin", File(path="a.bin", size=100 * MIB, sha256="0" * 64))


def test_the_disk_is_told_of_what_has_come_once_and_in_order(
    partial: Partial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync at the end waits for what is left; anew from zero when the file begins anew."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _file, start, size, _advice: told.append((start, size)))
    for _ in range(20):
        partial.write(PIECE)
    assert told == [(0, WRITEBACK_BYTES), (WRITEBACK_BYTES, WRITEBACK_BYTES)]
    partial.begin(Response(0, "ipfs", "somebody else"))
    told.clear()
    for _ in range(8):
        partial.write(PIECE)
    assert told == [(0, WRITEBACK_BYTES)]
    partial.close()


def test_a_system_that_cannot_be_told_is_left_at_that(
    partial: Partial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(os, "posix_fadvise", cannot)
    for _ in range(8):
        partial.write(PIECE)
    monkeypatch.delattr(os, "posix_fadvise")
    for _ in range(8):
        partial.write(PIECE)
    assert partial.size == partial.path.stat().st_size == 16 * MIB
    partial.close()


def test_the_steps_grow_with_the_file(partial: Partial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file costs a few dozen calls, and not one every 8 MiB."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _file, start, size, _advice: told.append((start, size)))
    monkeypatch.setattr("fallback.partial.WRITEBACK_BYTES", MIB)
    for _ in range(96):
        partial.write(PIECE)
    partial.close()
    sizes = [size for _, size in told]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (MIB, 6 * MIB)
    assert len(sizes) < 48
