"""The end of an install: the files that wait get their names (`switch`), and what came of each is told.

Exclusions: no byte is read here, and what is renamed was synced before (`cache.commit`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fallback.events import FileCompleted, Quarantined
from fallback.results import FileResult
from fallback.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.bundles.staging import Staging
    from fallback.manifest import Model
    from fallback.run import Run
    from fallback.settings import Settings
    from fallback.state import State
    from fallback.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Placing:
    """Files that wait, where they go, and the models that are to be entered in the manifest with them."""

    settings: Settings
    run: Run
    state: State
    staging: Staging
    waiting: Waiting
    entries: tuple[Model, ...]

    def done(self) -> tuple[FileResult, ...]:
        """Give them their names.

        Raises:
            StorageError: this machine's disk failed; everything is as it was.
            ManifestError: the manifest in force was changed meanwhile, and cannot take the models; the same.
        """
        kept = Switch(
            self.settings,
            self.staging.place,
            self.state,
            self.waiting,
            tuple(self.staging.models),
            self.entries,
            self.run.emit,
            self.run.over,
            self.run.check,
        ).done()
        for wanted, path in kept:
            reason = "another file is to have its name"
            self.run.emit(Quarantined(wanted.model.name, wanted.file.path, path.name, reason))
        return tuple(self._results())

    def _results(self) -> Iterator[FileResult]:
        for each in self.staging.staged:
            file = each.wanted.file
            completed = FileCompleted(
                model=each.wanted.model.name,
                path=file.path,
                layer="bundle",
                source=self.staging.source,
                size=file.size or 0,
                bytes_received=each.bytes_received,
                attempts=int(each.bytes_received > 0),
                seconds=each.seconds,
            )
            self.run.emit(completed)
            yield FileResult(**asdict(completed))
        for wanted, size in self.staging.here:
            yield FileResult(wanted.model.name, wanted.file.path, "cache", "", size)
