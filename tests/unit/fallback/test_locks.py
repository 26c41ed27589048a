"""A lock between processes: let go of when its holder says so, whoever else has its descriptor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fallback import locks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_child_that_was_forked_meanwhile_does_not_keep_it(tmp_path: Path) -> None:
    """As a program's worker processes are, while a sync runs in a thread of it."""
    path = tmp_path / "folder" / "a.lock"
    reader, writer = os.pipe()
    with locks.held(path, timeout_s=0) as is_held:
        assert is_held
        child = os.fork()
        if not child:
            os.read(reader, 1)
            os._exit(0)
    try:
        with locks.held(path, timeout_s=0) as is_held:
            assert is_held
            with locks.held(path, timeout_s=0) as again:
                assert not again
    finally:
        os.write(writer, b"x")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
