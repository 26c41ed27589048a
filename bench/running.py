"""One scenario: a folder as it is to be at the start, a client, and whether the files are there afterwards.

Clients take turns within every repeat, so that a machine that slows down slows all of them down alike. Exclusions: what
the figures say is `report`'s.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.clients import CLIENTS, prove
from bench.job import Job
from bench.process import NotDoneError
from bench.servers import Fakes, Nginx, laid_out, nginx
from fakes.apart import WorldApart
from fakes.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from bench.process import Measured
    from bench.scenarios import Scenario
    from bench.servers import Server
    from fakes.catalogue import Size


LEAST = 3
"""Runs that an entry has also when they take longer than they should in all; but not twice as long."""


class Stage:
    """One scenario's servers and its folder, measured client by client."""

    def __init__(self, scenario: Scenario, world: WorldApart, server: Server, root: Path) -> None:
        self.scenario, self._server = scenario, server
        self._root, self._log = root, root / "log"
        self._manifest_path = root / "manifest.json"
        self._manifest_path.write_text(json.dumps(world.manifest))
        self._job = Job(
            world.manifest,
            self._manifest_path,
            root / "models",
            server.gateways,
            world.hub,
            tries=scenario.tries,
        )

    @property
    def files(self) -> int:
        """How many files the scenario has."""
        return len(self._job.sizes())

    @property
    def total_bytes(self) -> int:
        """Bytes of the scenario's files."""
        return self._job.total_bytes

    def entries(self, chosen: Collection[str]) -> dict[str, tuple[str, int]]:
        """(client, number of gateways) by the entry's name, for the clients chosen that are on this machine.

        The engine, who comes first, is measured in any case: the others' figures are ratios to its.
        """
        scenario, ours = self.scenario, self.scenario.clients[0]
        others = [name for name in scenario.clients[1:] if name in chosen and not CLIENTS[name].absent()]
        here, further = [ours, *others], scenario.variants if ours in chosen else None
        return {name: (name, scenario.gateways) for name in here} | dict(further or {})

    def measure(self, client: str, gateways: int) -> Measured:
        """One run; NotDoneError if the files are not there afterwards."""
        one = CLIENTS[client]
        job = replace(self._job, gateways=self._server.gateways[:gateways])
        self._lay(job)
        self._server.begin(self.scenario.name, self.scenario.rules)
        self._log.write_bytes(b"")
        measured = one.run(job, self._log)
        wire, requests = self._server.counted()
        short = [path for path, size in job.sizes().items() if not _has(path, size)] if one.moves else []
        if measured.code or short:
            raise NotDoneError(
                f"exit code {measured.code}, {len(short)} files not there\n"
                + self._log.read_text(errors="replace")[-2000:]
            )
        return replace(prove(one, job, measured), wire_bytes=wire, requests=requests)

    def _lay(self, job: Job) -> None:
        """The folder as the scenario wants it: what is complete stays from one run to the next."""
        if self.scenario.start == "complete" and job.folder.exists():
            return
        for left in self._root.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        job.folder.mkdir()
        if self.scenario.start == "complete":
            self._server.begin("healthy", ())
            CLIENTS["fallback"].run(job, self._log)


@contextlib.contextmanager
def staged(scenario: Scenario, size: Size, root: Path) -> Iterator[Stage]:
    """The scenario's servers, from their start to their end."""
    manifest = None
    if scenario.content is not None:
        manifest = root / "content.json"
        manifest.write_text(json.dumps(scenario.content))
    with contextlib.ExitStack() as opened:
        # What no other scenario serves goes with the folder; 5 GB are not to stay for good.
        scratch = root / "content" if manifest is not None else None
        world = opened.enter_context(WorldApart(size, manifest, scratch))
        server: Server = Fakes(world)
        if scenario.server == "nginx":
            server = opened.enter_context(
                _by_nginx(Catalogue(scenario.content, size=size, scratch=scratch), world, root)
            )
        (root / "work").mkdir()
        yield Stage(scenario, world, server, root / "work")


@contextlib.contextmanager
def _by_nginx(catalogue: Catalogue, world: WorldApart, root: Path) -> Iterator[Server]:
    site, own = root / "site", root / "nginx"
    own.mkdir()
    blobs = {blob.name: blob.path for blob in catalogue.blobs()}
    laid_out(world.manifest, blobs, site)
    with nginx(site, own) as urls:
        yield Nginx(world, urls[0], own / "access")


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def turns(entries: Collection[str], repeat: int) -> list[str]:
    """Who comes first changes with every repeat."""
    names = list(entries)
    first = repeat % len(names)
    return names[first:] + names[:first]


def measured(
    stage: Stage, chosen: Collection[str], repeats: int, most_s: float, tell: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """All entries of a scenario, so many times each; those whose runs take longer than `most_s` in all less often (`LEAST`).

    Whoever does not do his work once is left out, and `tell` is told; without the engine, all are.
    """
    entries = stage.entries(chosen)
    results: dict[str, list[Measured]] = {name: [] for name in entries}
    failed: set[str] = set()
    for repeat in range(repeats):
        for name in turns(entries, repeat):
            took = sum(run.seconds for run in results[name])
            if name in failed or took >= 2 * most_s or (took >= most_s and repeat >= LEAST):
                continue
            tell(f"{name}, {repeat + 1} of {repeats}")
            try:
                results[name].append(stage.measure(*entries[name]))
            except NotDoneError as error:
                tell(f"{name} is left out: {error}")
                failed.add(name)
    ours = next(iter(entries), None)
    return {} if ours in failed else {name: runs for name, runs in results.items() if name not in failed}
