"""The observer that keeps `ipfs_downloads`: what it writes, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback.downloads import WRITE_S, Keeper
from fallback.events import AttemptEnded, AttemptStarted, FileCompleted, Progressed
from fallback.manifest import File, Model
from fallback.state import State
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fallback.events import LayerName

FILE = File("a", 1000, "0" * 64)
WANTED = Wanted(Model("m", "stt", "dir", (FILE,)), FILE)
WHO: tuple[str, str, LayerName, str, int] = ("m", "a", "ipfs", "dweb.link", 1)


def test_progress_is_written_once_a_second_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fast disk is not slowed by the database; what was received since it began is all counted."""
    now = 100.0
    with State(tmp_path, print) as state:
        written: list[int] = []
        kept = state.downloads.progressed

        def progressed(path: str, *, received: int, size: int) -> None:
            written.append(size)
            kept(path, received=received, size=size)

        monkeypatch.setattr(state.downloads, "progressed", progressed)
        keeper = Keeper(state, [WANTED], lambda: now)
        keeper(AttemptStarted(*WHO, 100))
        for size in range(200, 800, 10):
            now += WRITE_S / 16
            keeper(Progressed(*WHO, size, 1000, 1.0, None))
        keeper(AttemptEnded(*WHO, "interrupted", "cut", 690, 1000, 3.0))
        assert len(written) == 4
        assert written[-1] == 790
        keeper(FileCompleted("m", "a", "ipfs", "dweb.link", 1000, 900, 2, 4.0))
        [row] = state.downloads.newest()
        assert (row.status, row.downloaded_bytes, row.currentSize) == ("success", 690, 1000)
