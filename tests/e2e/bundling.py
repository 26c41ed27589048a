"""Act 13: without a network. All files in one bundle, made twice the same, installed where there is nothing, by nobody's server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.acts import cold
from tests.e2e.stage import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.stage import Act, Stage

OFFLINE = {"FALLBACK_OFFLINE": "1"}


def bundled(stage: Stage) -> None:
    """Made of the first act's folder; cut in the middle it leaves nothing visible, whole it goes on from there."""
    checks, bundle, cut = stage.checks, stage.folder / "all.tar", stage.folder / "cut.tar"
    stage.prepare(HEALTHY, by=cold)
    stage.play([])
    made = [stage.run(HEALTHY, ("bundle", "create", "-o", str(path))) for path in (bundle, cut)]
    for run in made:
        checks.code(run, 0)
    checks.that(_same(stage), "two bundles of the same files", expected="the same bytes", seen="others")
    with cut.open("r+b") as stream:
        stream.truncate(bundle.stat().st_size // 2)

    broken = stage.run("bundled", ("bundle", "install", str(cut)), environment=OFFLINE)
    checks.exit(broken, 1)
    checks.equal("files that are visible of a cut bundle", stage.look("bundled").right, ())
    run = stage.run("bundled", ("bundle", "install", str(bundle)), environment=OFFLINE)
    checks.exit(run, 0)
    checks.all_right(stage.look("bundled"), stage.world.manifest)
    received = sum(
        int(event.get("bytes_received", 0)) for event in run.events if event["event"] == "attempt_ended"
    )
    checks.at_most("bytes written again", received, bundle.stat().st_size // 2 + (4 << 20))
    run = stage.run("bundled", environment=OFFLINE)
    checks.exit(run, 0)
    checks.equal("requests", stage.journal(broken, run).count(), 0)
    for path in (bundle, cut):
        path.unlink()


def _same(stage: Stage) -> bool:
    piece = 1 << 20
    with (stage.folder / "all.tar").open("rb") as one, (stage.folder / "cut.tar").open("rb") as two:
        while data := one.read(piece):
            if data != two.read(piece):
                return False
        return not two.read(1)


ACTS: Sequence[Act] = (("one file, and no network", bundled),)
