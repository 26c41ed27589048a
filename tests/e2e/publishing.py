"""Acts 11 and 12: real CIDs. One wrong byte costs one chunk; what is published is synced by the CIDs that came back."""

from __future__ import annotations

import copy
import sqlite3
from typing import TYPE_CHECKING, Any

from fakes.catalogue import targets, total_bytes
from tests.e2e.acts import cold
from tests.e2e.stage import GATEWAYS, HEALTHY, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.stage import Act, Stage

MIB = 1 << 20


def one_wrong_byte(stage: Stage) -> None:
    """Gateway 1 flips one bit of the largest file: a MiB is fetched again, from gateway 2, and gateway 1 is named."""
    checks = stage.checks
    sizes = {path: int(file["size"]) for path, file in targets(stage.world.manifest).items()}
    largest = max(sizes, key=lambda path: sizes[path])
    name = largest.rpartition("/")[2]
    rules = [rule("gateway1", "corrupt", path=f"*/{name}", offset=sizes[largest] * 3 // 4)]
    run, disk, journal = stage.scene("byte", rules)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    sent = sum(entry["bytes_sent"] for entry in journal.entries if entry["status"] in {200, 206})
    checks.at_most("bytes fetched again", sent - total_bytes(stage.world.manifest), 2 * MIB)
    checks.equal("files that gateway 2 was asked for", len(journal.by_file("gateway2")), 1)
    banned = [
        event["source"]
        for event in run.events
        if event["event"] == "attempt_ended" and event["outcome"] == "corrupt"
    ]
    checks.equal("who is to blame", banned, [stage.world.urls["gateway1"].partition("://")[2]])


def published(stage: Stage) -> None:
    """To Pinata, then to Kubo, while the gateways have nothing else; an empty folder is filled by the CIDs in the database, from gateways alone."""
    checks = stage.checks
    stage.prepare(HEALTHY, by=cold)
    bare = copy.deepcopy(stage.world.manifest)
    for model in bare.values():
        del model["ipfs"]
        for file in model["files"].values():
            del file["cid"], file["chunks"]
    known: dict[str, set[str]] = {}
    for to in ("pinata", "kubo"):
        stage.play([])
        stage.world.unpublish()
        run = stage.run(HEALTHY, ("publish", "--to", to), manifest=bare, environment=stage.world.publishing)
        checks.code(run, 0)
        journal = stage.journal(run)
        checks.equal(f"requests to {to}", journal.count(to), len(bare))
        told = {event["model"]: event["cid"] for event in run.events if event["event"] == "published"}
        checks.equal(f"models that {to} has", sorted(told), sorted(bare))
        checks.equal("CIDs in the database", _newest(stage), told)
        known[to] = set(told.values())

        # The database of the folder that was published from, and a manifest that names no CID.
        state = {"FALLBACK_STATE_DIR": str(stage.folder / HEALTHY / ".fallback")}
        stage.play([])
        run = stage.run(f"from-{to}", manifest=bare, environment=state)
        checks.exit(run, 0)
        checks.all_right(stage.look(f"from-{to}", bare), bare)
        journal = stage.journal(run)
        checks.equal("files served by gateways", sum(map(journal.served, GATEWAYS)), stage.files)
        roots = {entry["path"].split("/")[2] for entry in journal.entries}
        checks.equal("roots that gateways were asked for", roots, known[to])
    if not stage.is_small:
        checks.equal("CIDs that both profiles share", known["pinata"] & known["kubo"], set())
    (stage.folder / HEALTHY / ".manifests.json").unlink()


def _newest(stage: Stage) -> dict[str, Any]:
    """Each model's CID, as whoever reads the table sees it."""
    path = stage.folder / HEALTHY / ".fallback" / "state.sqlite3"
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT modelName, cid FROM ipfs_cids ORDER BY id").fetchall()
    return dict(rows)


ACTS: Sequence[Act] = (
    ("one wrong byte costs one chunk", one_wrong_byte),
    ("published, then synced by those CIDs", published),
)
