"""Acts 1 to 6: which source serves, and which is asked. Each says what it must come to.

An act is a function of a `Stage`, and plays one or more scenes: a scenario, a run of the engine, its checks. Each has
a folder of its own but the second, which finds what the first one left (and makes it, when played alone).
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from fakes.catalogue import targets, total_bytes
from tests.e2e import engine
from tests.e2e.stage import GATEWAYS, HEALTHY, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.check import Journal
    from tests.e2e.stage import Act, Stage

# Well-formed, and nobody's: it is the hash of nothing that any gateway has.
PLACEHOLDER_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


def cold(stage: Stage) -> None:
    """All files from the first gateway, each asked for once; nobody else is asked for anything."""
    checks = stage.checks
    run, disk, journal = stage.scene(HEALTHY)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    checks.equal("requests to gateway 1", journal.count("gateway1"), stage.files)
    checks.equal("requests in all", journal.count(), stage.files)
    checks.equal("bytes sent", sum(journal.bytes_by_server().values()), total_bytes(stage.world.manifest))


def warm(stage: Stage) -> None:
    """Every file from the cache, and not one request."""
    checks = stage.checks
    stage.prepare(HEALTHY, by=cold)
    run, disk, journal = stage.scene(HEALTHY)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    checks.equal("requests", journal.count(), 0)
    hits = sum(1 for event in run.events if event.get("event") == "cache_hit")
    checks.equal("files from the cache", hits, stage.files)


def failover(stage: Stage) -> None:
    """Gateway 1 knows nothing, 2 never answers, 3 sends a wrong byte, 4 serves all."""
    checks = stage.checks
    rules = [
        rule("gateway1", "status", status=404),
        rule("gateway2", "hang"),
        rule("gateway3", "corrupt"),
    ]
    run, disk, journal = stage.scene("failover", rules)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    for server in ("gateway1", "gateway3"):
        _once_a_file(stage, journal, server)
    silent = journal.count("gateway2")
    checks.that(silent >= 1, "requests to gateway 2, which is silent", expected="at least 1", seen=silent)
    checks.at_most(
        "requests to gateway 2, which is silent (jobs x gateway_attempts)",
        silent,
        engine.JOBS * engine.GATEWAY_ATTEMPTS,
    )
    _once_a_file(stage, journal, "gateway4")
    checks.equal("files served by gateway 4", journal.served("gateway4"), stage.files)
    checks.equal("requests to the Hub", journal.count("hub", "cdn"), 0)


def hub_serves(stage: Stage) -> None:
    """All four gateways fail, each in another way; HuggingFace serves every file."""
    checks = stage.checks
    rules = [
        rule("gateway1", "refused"),
        rule("gateway2", "status", status=503, retry_after=1),
        rule("gateway3", "html"),
        # So early that no number of resumed attempts adds up to a file, the smallest of which has 339 bytes.
        rule("gateway4", "truncate", offset=100),
    ]
    run, disk, journal = stage.scene("hub", rules)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    _served_by_hub(stage, journal)
    for server in GATEWAYS[1:]:  # one that refuses connections sees no request
        seen = journal.count(server)
        checks.that(seen >= 1, f"requests to {server}", expected="at least 1", seen=seen)
        per_file = max(journal.by_file(server).values(), default=0)
        checks.at_most(f"requests to {server} for one file", per_file, engine.GATEWAY_ATTEMPTS)


def no_cid(stage: Stage) -> None:
    """A CID that no gateway knows; then no CID at all, and no request to a gateway. HuggingFace serves both."""
    checks = stage.checks
    manifest = copy.deepcopy(stage.world.manifest)
    for model in manifest.values():
        model["ipfs"] = {"cid": PLACEHOLDER_CID, "path": ""}
    run, disk, journal = stage.scene("placeholder", manifest=manifest)
    checks.exit(run, 0)
    checks.all_right(disk, manifest)
    _served_by_hub(stage, journal)
    for server in GATEWAYS:
        _once_a_file(stage, journal, server)

    for model in manifest.values():
        del model["ipfs"]
        for file in model["files"].values():
            del file["cid"]
    run, disk, journal = stage.scene("no-cid", manifest=manifest)
    checks.exit(run, 0)
    checks.all_right(disk, manifest)
    _served_by_hub(stage, journal)
    checks.equal("requests to gateways without a CID", journal.count(*GATEWAYS), 0)


def all_down(stage: Stage) -> None:
    """Everything is down: every source is named with its reason, nothing wrong is on disk. Then one comes back."""
    checks = stage.checks
    rules = [
        rule("gateway1", "refused"),
        rule("gateway2", "status", status=500),
        rule("gateway3", "accept-reset"),
        rule("gateway4", "status", status=504),
        rule("hub", "status", status=503),
        rule("cdn", "refused"),
    ]
    reasons = {
        "gateway1": "refused|connect",
        "gateway2": "500",
        "gateway3": "reset|abort|closed|connect",
        "gateway4": "504",
        "hub": "503",
    }
    run, disk, journal = stage.scene("down", rules)
    checks.exit(run, 1)
    for server, reason in reasons.items():
        host = stage.world.urls[server].partition("://")[2]
        said = re.search(rf"{re.escape(host)}\W.*?\b(?:{reason})", run.stderr, re.IGNORECASE)
        checks.that(
            said, f"stderr names {server} and why", expected=f"{host} … {reason}", seen=run.stderr[-1500:]
        )
    named = [path for path in targets(stage.world.manifest) if path.rpartition("/")[2] not in run.stderr]
    checks.equal("failed files that stderr does not name", named, [])
    checks.equal("failed files in run_ended", run.last.get("failed"), stage.files)
    checks.equal("files on disk", disk.right, ())
    checks.nothing_wrong(disk)
    checks.equal(
        "bytes of files sent",
        sum(entry["bytes_sent"] for entry in journal.entries if entry["status"] == 200),
        0,
    )

    back = [each for each in rules if each["server"] != "gateway4"]
    run, disk, journal = stage.scene("down", back)
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    checks.equal("files served by gateway 4, which is back", journal.served("gateway4"), stage.files)


ACTS: Sequence[Act] = (
    ("cold, all healthy", cold),
    ("warm, no request", warm),
    ("404, silence, corruption, then gateway 4", failover),
    ("four gateways fail, HuggingFace serves", hub_serves),
    ("placeholder CID, then no CID", no_cid),
    ("everything down, then one is back", all_down),
)


def _once_a_file(stage: Stage, journal: Journal, server: str) -> None:
    asked = journal.by_file(server)
    stage.checks.equal(f"files asked of {server}", len(asked), stage.files)
    twice = {path: count for path, count in asked.items() if count != 1}
    stage.checks.equal(f"files asked more than once of {server}", twice, {})


def _served_by_hub(stage: Stage, journal: Journal) -> None:
    """The Hub hands out small files itself, after a redirect to its own cache, and sends to the CDN for the others."""
    served = journal.served("hub") + journal.served("cdn")
    stage.checks.equal("files served by the Hub and its CDN", served, stage.files)
    stage.checks.equal("files served by gateways", sum(map(journal.served, GATEWAYS)), 0)
