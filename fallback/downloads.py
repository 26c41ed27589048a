"""The observer that keeps `ipfs_downloads` and counts what CIDs were good for.

It follows events alone: what is written is what was told. Progress is written once a second a file, so
that a fast disk is not slowed by a slow one. Exclusions: nothing is decided by what is kept, and a
database that fails costs the rows and nothing else (P11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback.events import (
    AttemptEnded,
    AttemptStarted,
    FileCompleted,
    FileEvent,
    FileFailed,
    Progressed,
    RunEnded,
)
from fallback.wanted import Wanted, ipfs_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fallback.events import Event
    from fallback.run import Run
    from fallback.state import State

WRITE_S = 1.0
"""How often progress is written."""


@dataclass(slots=True)
class _Way:
    """A file under way: where it belongs, how much of it is right, how much of that is written down, and when that was."""

    path: str
    size: int
    written: int
    written_at: float


class Keeper:
    """Keeps the way of each file that the run wants; events of others are passed over."""

    def __init__(self, state: State, wanted: Iterable[Wanted], now: Callable[[], float]) -> None:
        self._state, self._now = state, now
        self._wanted = {(each.model.name, each.file.path): each for each in wanted}
        self._under_way: dict[tuple[str, str], _Way] = {}
        self._found: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Keep what `event` says."""
        if isinstance(event, RunEnded) and event.stopped:
            for each in self._under_way.values():
                self._write(each)
                self._state.downloads.paused(each.path)
        if not isinstance(event, FileEvent):
            return
        wanted = self._wanted.get((event.model, event.path))
        way = self._under_way.get((event.model, event.path))
        if isinstance(event, AttemptStarted) and wanted is not None and way is None:
            self._under_way[event.model, event.path] = self._begun(wanted, event.offset)
        elif wanted is not None and way is not None:
            self._went_on(event, wanted, way)

    def _begun(self, wanted: Wanted, offset: int) -> _Way:
        file, now = wanted.file, self._now()
        path = wanted.model.target(file)
        self._state.downloads.begun(path, total=file.size, sha256=file.sha256, cid=_cid(wanted), now=now)
        return _Way(path, offset, offset, now)

    def _went_on(self, event: FileEvent, wanted: Wanted, way: _Way) -> None:
        now = self._now()
        match event:
            case Progressed(downloaded=downloaded):
                way.size = downloaded
                if now - way.written_at >= WRITE_S:
                    self._write(way)
            case AttemptEnded():
                self._write(way)
                error = f"{event.source}: {event.reason}" if event.is_error else None
                self._state.downloads.attempted(way.path, error=error, now=now)
                self._count(event, wanted)
            case FileCompleted(size=size):
                self._state.downloads.succeeded(way.path, size=size, now=now)
            case FileFailed(error=error):
                self._state.downloads.failed(way.path, error=error, now=now)
            case _:
                pass
        if isinstance(event, FileCompleted | FileFailed):
            del self._under_way[event.model, event.path]

    def _count(self, event: AttemptEnded, wanted: Wanted) -> None:
        """Whether the CID was good: not what a gateway's silence says."""
        cid = _cid(wanted)
        if (
            event.layer == "ipfs"
            and cid is not None
            and (event.ok or event.outcome in {"not_here", "corrupt"})
        ):
            model, now = wanted.model, self._now()
            whole = model.ipfs is not None and not model.ipfs.path
            if event.ok and whole and model.name not in self._found:
                # What a manifest brought is in the table once it was good, so that a lost table fills again.
                self._found.add(model.name)
                self._state.cids.add(cid, model.name, model.type, now=now)
            self._state.cids.used(cid, model.name, model.type, now=now, ok=event.ok)

    def _write(self, way: _Way) -> None:
        if way.size != way.written:
            received = max(0, way.size - way.written)
            self._state.downloads.progressed(way.path, received=received, size=way.size)
        way.written, way.written_at = way.size, self._now()


def _cid(wanted: Wanted) -> str | None:
    return (wanted.ipfs_path or "").partition("/")[0] or None


def located(missing: list[Wanted], run: Run, state: State) -> list[Wanted]:
    """Each with its path at a gateway, as far as the manifest or an earlier run knows one; from now on their way is kept."""
    state.downloads.prune(run.clock.now() - run.settings.metrics_retention_h * 3600)
    known = {each.model.name: each.model for each in missing}
    newest = {name: state.cids.newest(name, model.type) for name, model in known.items()}
    found = [
        Wanted(each.model, each.file, ipfs_path(each.model, each.file, newest[each.model.name]))
        for each in missing
    ]
    run.observe(Keeper(state, found, run.clock.now))
    if run.settings.mirror and run.settings.mirror_write:
        from fallback.share.mirroring import writing  # noqa: PLC0415 - few machines write to one

        writing(run, state, run.settings.mirror, found)
    return found
