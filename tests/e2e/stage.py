"""Where an act plays: the world, its folder, its checks, and what its scenes added up to."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from fakes.catalogue import targets
from tests.e2e import engine
from tests.e2e.check import Checks, Journal
from tests.e2e.disk import examine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fakes.apart import WorldApart
    from tests.e2e.disk import Disk
    from tests.e2e.engine import Process, Run

GATEWAYS = ("gateway1", "gateway2", "gateway3", "gateway4")
HEALTHY = "healthy"
"""The folder that the first act fills and later ones find."""
PATIENCE_S = 30.0

Rules = list[dict[str, Any]]
Act = tuple[str, "Callable[[Stage], None]"]


class Stage:
    """One act's: `seconds`, `bytes_by_server` and `requests` are sums over its scenes."""

    def __init__(self, world: WorldApart, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.checks = Checks()
        self.begin()

    def begin(self) -> None:
        """Count from here on."""
        self.seconds = 0.0
        self.bytes_by_server: dict[str, int] = {}
        self.requests: dict[str, int] = {}

    def prepare(self, models: str, *, by: Callable[[Stage], None]) -> None:
        """Let another act make its folder `models`, if it has not; nothing of that counts as this act's."""
        if not (self.folder / models).exists():
            by(self)
        self.begin()

    def scene(
        self, models: str, rules: Rules | None = None, manifest: Mapping[str, Any] | None = None
    ) -> tuple[Run, Disk, Journal]:
        """Put the rules into force, run the engine into the folder `models`, and look at what came of it."""
        self.play(rules or [])
        run = self.run(models, manifest=manifest)
        return run, self.look(models, manifest), self.journal(run)

    def play(self, rules: Rules) -> None:
        """Put these rules into force and no others; the journal begins anew."""
        self.world.play("e2e", rules)

    def start(
        self,
        models: str,
        command: Sequence[str] = engine.SYNC,
        manifest: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[Process]:
        """Start the engine on the folder `models`, with the fakes as its only sources."""
        path = self.folder / f"{models}.manifest.json"
        # Not written again under another process that may be reading it.
        if manifest is not None or not path.exists():
            path.write_text(json.dumps(self.world.manifest if manifest is None else manifest))
        return engine.started(
            command, path, self.folder / models, self.world.gateways, self.world.hub, environment or {}
        )

    def run(
        self,
        models: str,
        command: Sequence[str] = engine.SYNC,
        manifest: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        """Start the engine and wait for its end."""
        with self.start(models, command, manifest, environment) as process:
            return process.ended()

    def look(self, models: str, manifest: Mapping[str, Any] | None = None) -> Disk:
        """What is in the folder now."""
        return examine(self.folder / models, self.world.manifest if manifest is None else manifest)

    def journal(self, *runs: Run) -> Journal:
        """What the servers saw of these runs, which were at once; from here on it is in the act's sums."""
        journal = Journal(self.world.journal())
        self.seconds += max(run.seconds for run in runs)
        for server, sent in journal.bytes_by_server().items():
            self.bytes_by_server[server] = self.bytes_by_server.get(server, 0) + sent
            self.requests[server] = self.requests.get(server, 0) + journal.count(server)
        return journal

    def clear(self) -> None:
        """Delete the folders of this act alone: ten acts would need 5 GB."""
        for path in self.folder.iterdir():
            if path.is_dir() and path.name != HEALTHY:
                shutil.rmtree(path)

    @property
    def files(self) -> int:
        """How many files the manifest lists."""
        return len(targets(self.world.manifest))

    @property
    def is_small(self) -> bool:
        """Whether the files are small ones, of 230 kB at most."""
        return self.world.size == "small"


def rule(server: str, fault: str, path: str = "*", **fields: Any) -> dict[str, Any]:
    """A fault that this server plays, at requests whose path matches the glob."""
    # Some faults are about a server, and their rules take no path, not even one that means all.
    aim = {} if path == "*" else {"path": path}
    return {"server": server, **aim, "fault": {"name": fault, **fields}}


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that must come; TimeoutError says that it did not."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {PATIENCE_S:.0f} s")
        time.sleep(0.05)
