"""Acts 7 to 10: what is there is kept. A kill, damaged files, two processes, gateways that cut every transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.catalogue import targets, total_bytes
from tests.e2e import engine
from tests.e2e.acts import cold
from tests.e2e.disk import partial_sizes
from tests.e2e.stage import GATEWAYS, HEALTHY, rule, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.e2e.stage import Act, Stage

MIB = 1 << 20


def killed(stage: Stage) -> None:
    """SIGKILL in the middle; the next run goes on from the bytes that are there."""
    checks = stage.checks
    sizes = {path: int(file["size"]) for path, file in targets(stage.world.manifest).items()}
    total = sum(sizes.values())
    # Slow enough that the kill comes when some files are on their way, whatever the machine does.
    stage.play([rule("gateway1", "dribble", bytes_per_s=total // 8)])
    with stage.start("killed") as process:
        until(lambda: _bytes_there(stage.folder / "killed") > total // 10, "a tenth of the bytes")
        kill = process.kill()
    checks.equal("exit code of the killed run", kill.code, -9)
    before = stage.look("killed")
    checks.nothing_wrong(before)
    under_way = partial_sizes(stage.folder / "killed")
    checks.that(under_way, "partials that the killed run leaves", expected="at least 1", seen=under_way)
    stage.journal(kill)  # what it cost counts, too

    run, disk, journal = stage.scene("killed")
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    first = [line for line in run.events if line["event"] == "attempt_started" and line["attempt"] == 1]
    offsets = sorted(line["offset"] for line in first if line["offset"])
    checks.equal("bytes that files went on from", offsets, sorted(filter(None, under_way.values())))
    kept = sum(under_way.values()) + sum(sizes[name] for name in before.right)
    again = sum(journal.bytes_by_server().values()) - (total - kept)
    # A kill loses what the killed process had read and not yet written, never what is on disk.
    checks.at_most("bytes on disk that were fetched again", again, 2 * MIB * max(1, len(under_way)))
    repeated = [name for name in before.right if journal.of(name)]
    checks.equal("finished files that were asked for again", repeated, [])


def damaged(stage: Stage) -> None:
    """A flipped byte, a truncated and a deleted file: `verify` names them, `verify --repair` fetches just them."""
    checks = stage.checks
    stage.prepare(HEALTHY, by=cold)
    folder = stage.folder / HEALTHY
    flipped, truncated, deleted = sorted(targets(stage.world.manifest))[:3]
    _flip(folder / flipped)
    with (folder / truncated).open("r+b") as stream:
        stream.truncate((folder / truncated).stat().st_size // 2)
    (folder / deleted).unlink()
    broken = {flipped, truncated, deleted}
    dirs = {name: model["dir"] for name, model in stage.world.manifest.items()}

    stage.play([])
    run = stage.run(HEALTHY, engine.VERIFY)
    checks.code(run, 1)
    checks.equal("requests of verify", stage.journal(run).count(), 0)
    states = {f"{dirs[line['model']]}/{line['path']}": line["state"] for line in run.events}
    named = {name: state for name, state in states.items() if state != "right"}
    checks.equal("what verify finds", named, {flipped: "wrong", truncated: "wrong", deleted: "missing"})
    checks.equal("files that verify speaks of", len(states), stage.files)

    run = stage.run(HEALTHY, engine.REPAIR)
    checks.code(run, 0)
    journal = stage.journal(run)
    asked = {name for name in targets(stage.world.manifest) if journal.of(name)}
    checks.equal("files asked for", asked, broken)
    disk = stage.look(HEALTHY)
    set_aside = set(disk.set_aside)
    checks.all_right(disk, stage.world.manifest, set_aside)
    kept = {name for name in broken if any(aside.startswith(name) for aside in set_aside)}
    checks.equal("damaged files kept as .bak", kept, {flipped, truncated})
    for name in set_aside:
        (folder / name).unlink()

    run = stage.run(HEALTHY, engine.VERIFY)
    checks.code(run, 0)


def two_at_once(stage: Stage) -> None:
    """Two processes on one empty folder: both succeed, and every body is sent once."""
    checks = stage.checks
    # Slow enough that both are at work at the same time.
    stage.play([rule("gateway1", "dribble", bytes_per_s=total_bytes(stage.world.manifest) // 4)])
    with stage.start("shared") as one, stage.start("shared") as other:
        runs = [one.ended(), other.ended()]
    for run in runs:
        checks.exit(run, 0)
    checks.all_right(stage.look("shared"), stage.world.manifest)
    journal = stage.journal(*runs)
    asked = {path: count for path, count in journal.by_file("gateway1").items() if count != 1}
    checks.equal("files asked for more than once", asked, {})
    checks.equal("bytes sent", sum(journal.bytes_by_server().values()), total_bytes(stage.world.manifest))


def cut_again_and_again(stage: Stage) -> None:
    """Every gateway cuts every transfer after 20 MB: each goes on where it was.

    Small files are cut at half the largest: a step under 1 MiB costs one of a source's attempts.
    """
    checks = stage.checks
    sizes = {path: int(file["size"]) for path, file in targets(stage.world.manifest).items()}
    step = max(sizes.values()) // 2 + 1 if stage.is_small else 20_000_000
    run, disk, journal = stage.scene("cut", [rule("gateway*", "cut-every", bytes=step)])
    checks.exit(run, 0)
    checks.all_right(disk, stage.world.manifest)
    for name, size in sizes.items():
        cuts = len(journal.of(name)) - 1
        checks.at_most(f"bytes of {name} sent twice", journal.sent(name) - size, cuts * MIB)
    largest = max(sizes, key=sizes.__getitem__)
    checks.that(
        len(journal.of(largest)) > sizes[largest] // step,
        "requests for the largest file, which is cut",
        expected=f"more than {sizes[largest] // step}",
        seen=len(journal.of(largest)),
    )
    served = journal.count(*GATEWAYS)
    checks.equal("requests to gateways and to nobody else", journal.count(), served)


ACTS: Sequence[Act] = (
    ("killed in the middle, then resumed", killed),
    ("damaged files, verify, repair", damaged),
    ("two processes at once", two_at_once),
    ("every gateway cuts every 20 MB", cut_again_and_again),
)


def _bytes_there(folder: Path) -> int:
    """Bytes of files that the engine has on disk by now, finished or not."""
    if not folder.exists():
        return 0
    finished = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    own = folder / ".fallback"
    return sum(partial_sizes(folder).values()) + sum(
        path.stat().st_size for path in finished if own not in path.parents
    )


def _flip(path: Path) -> None:
    """One bit, in the middle; size and time of change tell nothing but that it was written."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
