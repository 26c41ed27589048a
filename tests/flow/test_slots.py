"""A file that is being synced keeps no other from being received."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback import sync
from fallback.events import AttemptStarted
from fallback.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from fallback import Manifest, Settings
    from fallback.events import Event


def test_while_one_file_is_synced_the_next_is_asked_for(
    manifest: Manifest, settings: Settings, all_right: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job: the disk does not come back from the first file's sync before the second file is asked for."""
    asked, has_asked_both, waits = set[str](), threading.Event(), list[bool]()
    synced = Partial.sync

    def slow(partial: Partial) -> None:
        waits.append(has_asked_both.wait(20))
        synced(partial)

    def told(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            asked.add(event.path)
            if len(asked) == 2:
                has_asked_both.set()

    monkeypatch.setattr(Partial, "sync", slow)
    assert sync(manifest, settings=replace(settings, jobs=1), observer=told).ok
    assert waits == [True, True]
    assert all_right()
