"""A folder that is deeper than Python recurses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Fifteen hundred folders, each in the one before, and a file at the bottom."""
    made = [tmp_path / "deep"]
    for _ in range(1500):
        made[-1].mkdir()
        made.append(made[-1] / "a")
    (made[-2] / "x").write_bytes(b"x")
    yield made[0]
    (made[-2] / "x").unlink()
    for each in reversed(made[:-1]):  # what deletes old folders of tests may recurse
        each.rmdir()
