"""File systems that are full, small or read-only, mounted for one run alone where this machine lets us.

Skipped where it does not (no root, no namespaces), but not in CI, so that no proof goes missing unseen.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.crash import folder
from tests.crash.stage import LARGE
from tests.crash.test_disk import FREE, nobody_is_blamed

if TYPE_CHECKING:
    from tests.crash.stage import Done, Stage

pytestmark = [pytest.mark.needs("unshare", "mount"), pytest.mark.timeout(300)]
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture(autouse=True)
def _permitted() -> None:
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode != 0:
        said = f"mounting is not permitted here: {tried.stderr.decode().strip()}"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)


def run_on(
    stage: Stage, options: str, *steps: str, args: tuple[str, ...] = ("sync",), **environment: str
) -> Done:
    """`fallback ARGS` with a tmpfs for its models folder, between what else the shell is to do.

    `"$@"` among `steps` is the command; what is on the tmpfs at the end is copied out, to be looked at.
    """
    stage.models_dir.mkdir(exist_ok=True)
    script = " && ".join([f"mount -t tmpfs -o {options} tmpfs {stage.models_dir}", *steps])
    copy = f"mkdir {stage.folder}/seen; cp -a {stage.models_dir}/. {stage.folder}/seen/"
    through = ("unshare", "-m", "sh", "-c", f"{script}; code=$?; {copy}; exit $code", "sh")
    done = stage.run(*args, through=through, environment=environment)
    stage.models_dir.rmdir()
    (stage.folder / "seen").rename(stage.models_dir)
    return done


@pytest.mark.fault(90)
def test_a_disk_that_others_fill_meanwhile(stage: Stage) -> None:
    """There is room by its own account (none is kept in reserve), until somebody else has taken it."""
    fill = f'head -c {1 * MIB} /dev/zero > {stage.models_dir}/other; "$@"'
    done = run_on(stage, f"size={2 * MIB}", fill, FALLBACK_STATE_DIR=str(stage.folder / "state"))
    assert done.code == 3, done.err
    assert "must be freed" in done.err
    assert not stage.world.journal.select(path="*.onnx")
    assert (stage.models_dir / "tts/voice.bin").read_bytes() == stage.contents["tts/voice.bin"]


@pytest.mark.fault(89, 90)
def test_a_disk_that_gets_full_in_the_middle(stage: Stage) -> None:
    """A file whose size nobody has said, so that its room could not be looked for: what came of it is kept."""
    tiny = stage.world.manifest()["tiny"]
    url = f"{stage.world.gateways[0]}/ipfs/{tiny['ipfs']['cid']}/onnx/model.onnx"
    sha256 = tiny["files"]["onnx/model.onnx"]["sha256"]
    get = ("get", url, "--sha256", sha256, "-o", str(stage.models_dir / "model.onnx"))
    done = run_on(stage, f"size={MIB}", '"$@"', args=get, FALLBACK_STATE_DIR=str(stage.folder / "state"))
    assert (done.code, FREE in done.err) == (3, True), done.err
    (left,) = stage.models_dir.rglob("*.partial")
    assert stage.contents[LARGE].startswith(left.read_bytes())
    size = left.stat().st_size
    assert size > MIB // 2
    assert len(stage.world.journal.entries()) == 1
    assert stage.run(*get).code == 0
    assert stage.world.journal[1].range == f"bytes={size}-"


@pytest.mark.fault(90)
def test_what_is_on_disk_of_a_partial_needs_no_room_again(stage: Stage) -> None:
    """Room for the rest of it is enough."""
    sha256 = stage.world.manifest()["tiny"]["files"]["onnx/model.onnx"]["sha256"]
    held = stage.folder / "held"
    held.write_bytes(stage.contents[LARGE][: 1000 * KIB])
    target = stage.models_dir / LARGE
    left = f"{target.parent}/.{target.name}.{sha256[:8]}-0000.partial"
    steps = (f"mkdir -p {target.parent}", f"cp {held} {left}", '"$@"')
    elsewhere = str(stage.folder / "state")
    size = f"size={1500 * KIB}"
    done = run_on(stage, size, *steps, args=("sync", "tiny"), FALLBACK_STATE_DIR=elsewhere)
    assert done.code == 0, done.err
    assert target.read_bytes() == stage.contents[LARGE]
    assert [entry.range for entry in stage.world.journal.select(path="*.onnx")] == [f"bytes={1000 * KIB}-"]


@pytest.mark.fault(94)
@pytest.mark.parametrize("here", [False, True], ids=["empty", "full"])
def test_a_read_only_folder(stage: Stage, here: bool) -> None:  # noqa: FBT001 - a case
    """What is there can still be used: hashed each time, for nothing can be remembered."""
    if here:
        for name, data in stage.contents.items():
            stage.put(name, data)
    else:
        stage.models_dir.mkdir()
    script = f'mount --bind {stage.models_dir} {stage.models_dir} && mount -o remount,bind,ro {stage.models_dir} && exec "$@"'
    done = stage.run("sync", through=("unshare", "-m", "sh", "-c", script, "sh"))
    assert done.code == (0 if here else 3), done.err
    assert here or "mount it for writing" in done.err
    assert not stage.world.journal.entries()
    assert not (stage.models_dir / ".fallback").exists()


@pytest.mark.fault(89)
def test_a_disk_without_a_byte_left(stage: Stage) -> None:
    """Not even for the database: it is said, and what can be had without it is."""
    fill = f'head -c {4 * MIB} /dev/zero > {stage.models_dir}/other; "$@"'
    done = run_on(stage, f"size={2 * MIB}", fill)
    assert done.code == 3, done.err
    assert "must be freed" in done.err
    assert not stage.world.journal.entries()
    assert not [path for path in folder.files(stage.models_dir) if path.name != "other"]
    nobody_is_blamed(stage)


@pytest.mark.fault(89, 90)
@pytest.mark.parametrize(
    "command", [("publish", "--to", "car"), ("bundle", "create")], ids=["publish", "bundle"]
)
def test_a_disk_too_small_for_what_is_made(stage: Stage, command: tuple[str, ...]) -> None:
    """Nothing of it is kept, nothing of it is there, and so it is said."""
    for name, data in stage.contents.items():
        stage.put(name, data)
    small = stage.folder / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size={MIB} tmpfs {small}; "$@"; code=$?; ls -A {small}; exit $code'
    done = stage.run(*command, "-o", str(small / "made"), through=("unshare", "-m", "sh", "-c", script, "sh"))
    assert (done.code, FREE in done.err, "kept" in done.err) == (3, True, False), done.err
    assert done.out == ""
