"""What is played with a fleet, what it must come to, and what it came to, as a table.

Exclusions: processes (`nodes`), and how a folder is held against a manifest (`tests.e2e.disk`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.disk import examine
from tests.fleet import nodes
from tests.fleet.nodes import Run

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.apart import WorldApart
    from tests.fleet.nodes import Fleet, Node

MOST_OUTSIDE = 1.3
"""Times the models' bytes."""

AIMS = {"wall": 0.35, "outside bytes": 0.25}
"""A fleet's share of what independent syncs take: aims, not limits."""

LIAR = 1
"""Not the first: nobody could be asked besides it, and the others would have to go outside."""


ENOUGH = 6
"""Nodes, of which one at least comes to ask the liar first; with fewer it may be the victim alone."""


@dataclass
class Stage:
    """The world behind its line, a folder, how many nodes, how many MB/s."""

    world: WorldApart
    folder: Path
    count: int
    rate: float

    @property
    def total(self) -> int:
        """Bytes of all models."""
        return sum(file["size"] for model in self.world.manifest.values() for file in model["files"].values())

    def begin(self) -> Path:
        """The line is narrow, the journal empty; the manifest's file."""
        fault = {"name": "bandwidth", "rate": self.rate * 1000, "line": "outside"}
        self.world.play(
            "fleet", [{"server": server, "fault": fault} for server in ("gateway*", "hub", "cdn")]
        )
        path = self.folder / "manifest.json"
        path.write_text(json.dumps(self.world.manifest))
        return path

    def outside(self) -> int:
        """Bytes of bodies that all servers sent since then."""
        return sum(entry["bytes_sent"] for entry in self.world.journal())

    def wrong(self, models_dir: Path) -> str:
        """What of the files is not right; nothing if all are."""
        disk = examine(models_dir, self.world.manifest)
        bad = {"wrong": disk.wrong, "missing": disk.missing, "strange": disk.strange}
        return ", ".join(f"{what}: {names}" for what, names in bad.items() if names)


def troubled(stage: Stage) -> dict[str, Any]:
    """One node lies, one is killed in the middle."""
    manifest = stage.begin()
    with nodes.started(stage.world, stage.folder, stage.count, [LIAR]) as fleet:
        victim = fleet.nodes[-1]
        run = _watched(fleet, manifest, victim, stage.total // 10)
        outside = stage.outside()
        wrong = {node.host: stage.wrong(node.models_dir) for node in fleet.nodes}
    failures = [f"{host}: {what}" for host, what in wrong.items() if what and host != victim.host]
    reports = run.reports
    problems = {node.host: reports.get(node.host, {}).get("problem") for node in fleet.nodes}
    if problems != {node.host: "lost" if node is victim else "" for node in fleet.nodes}:
        failures.append(f"the reports' problems are {problems}")
    if run.code != 1:
        failures.append(f"exit {run.code} where one node was lost: {run.stderr}")
    asked = _asked(run, fleet.nodes[LIAR]) - {victim.host}
    found = {host for host, report in reports.items() if report["liars"]}
    if not found >= asked or (stage.count >= ENOUGH and not asked):
        failures.append(f"{asked or 'nobody'} asked the liar, {found or 'nobody'} found out")
    if outside > MOST_OUTSIDE * stage.total:
        failures.append(f"{outside} bytes from outside, {outside / stage.total:.2f} times the models'")
    told = (
        f"{len(reports) - 1} nodes right, one killed, one lied; {run.seconds:.1f} s, "
        f"{outside / 1e6:.1f} MB from outside = {outside / stage.total:.2f} times the models' (at most {MOST_OUTSIDE})"
    )
    return {
        "seconds": round(run.seconds, 2),
        "outside_bytes": outside,
        "outside_ratio": round(outside / stage.total, 3),
        "reports": list(reports.values()),
        "failures": failures,
        "table": [*_rows(reports), told],
    }


def compare(stage: Stage) -> dict[str, Any]:
    """A fleet without trouble, and as many syncs that know nothing of each other, through the same line."""
    manifest = stage.begin()
    with nodes.started(stage.world, stage.folder, stage.count) as fleet:
        run = _watched(fleet, manifest, None, 0)
        together = (run.seconds, stage.outside())
        failures = [f"{node.host}: {what}" for node in fleet.nodes if (what := stage.wrong(node.models_dir))]
        for node in fleet.nodes:
            shutil.rmtree(node.models_dir, ignore_errors=True)
    if run.code:
        failures.append(f"exit {run.code}: {run.stderr}")
    stage.begin()
    apart = (_apart(stage, manifest, failures), stage.outside())
    ratios = {name: here / there for name, here, there in zip(AIMS, together, apart, strict=True)}
    table = [f"{'':<14} {'wall s':>8} {'outside MB':>11}"]
    for name, (seconds, count) in (("fleet", together), ("independent", apart)):
        table.append(f"{name:<14} {seconds:>8.1f} {count / 1e6:>11.1f}")
    table += [f"{name}: ratio {ratio:.2f} (aim at most {AIMS[name]})" for name, ratio in ratios.items()]
    return {
        "fleet": {"seconds": together[0], "outside_bytes": together[1]},
        "independent": {"seconds": apart[0], "outside_bytes": apart[1]},
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "failures": failures,
        "table": [*_rows(run.reports), *table],
    }


def _watched(fleet: Fleet, manifest: Path, victim: Node | None, enough: int) -> Run:
    """A fleet's sync to its end; the victim is killed once it is under way and has `enough` bytes."""
    run = Run(-1, 0.0)
    killing: threading.Thread | None = None
    for line in nodes.sync(fleet, manifest):
        if line["event"] == "end":
            run.code, run.seconds, run.stderr = line["code"], line["seconds"], line["stderr"]
            continue
        run.lines.append(line)
        under_way = line["event"] == "node" and line["state"] in {"outside", "peers"}
        if victim is not None and killing is None and under_way and line["node"] == victim.host:
            killing = threading.Thread(target=_kill, args=(victim, enough))
            killing.start()
    if killing is not None:
        killing.join()
    return run


def _asked(run: Run, liar: Node) -> set[str]:
    """Who was sent to the liar first of all."""
    steps = [line for line in run.lines if line["event"] == "node"]
    return {line["node"] for line in steps if line["peer"].startswith(f"{liar.host}:")}


def _kill(victim: Node, enough: int) -> None:
    while victim.bytes_here() < enough and victim.process.poll() is None:
        time.sleep(0.005)
    victim.process.kill()


def _apart(stage: Stage, manifest: Path, failures: list[str]) -> float:
    """Seconds until the last of so many syncs is done."""
    began = time.monotonic()
    folders = [stage.folder / f"apart-{place}" for place in range(stage.count)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "fallback", "sync", "--quiet", "--manifest", str(manifest)],
            env=nodes.environment(stage.world, folder),
        )
        for folder in folders
    ]
    codes = [process.wait(nodes.LIMIT_S) for process in running]
    seconds = time.monotonic() - began
    failures += [f"{folder.name}: exit {code}" for folder, code in zip(folders, codes, strict=True) if code]
    failures += [f"{folder.name}: {what}" for folder in folders if (what := stage.wrong(folder))]
    return seconds


def _rows(reports: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        f"{'node':<12} {'result':<12} {'wave':>4} {'outside MB':>11} {'peers MB':>9} {'seconds':>8}  lied to by"
    ]
    lines += [
        f"{node:<12} {each['problem'] or 'ok':<12} {each['wave']:>4} {each['outside_bytes'] / 1e6:>11.1f} "
        f"{each['peer_bytes'] / 1e6:>9.1f} {each['seconds']:>8.1f}  {', '.join(each['liars'])}"
        for node, each in reports.items()
    ]
    return lines
