"""HuggingFace's own client, the newest and one from before its rewrite, as programs and as libraries."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, RateLimited, Status, Truncate
from fakes.world import World
from tests.clients.conftest import LARGE, MODELS, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.conftest import Run

    Script = Callable[..., Any]

NEW, OLD = "", ".venv-hub-old/bin/"
OLD_ONES = pytest.mark.needs(f"{OLD}hf")
CLIENTS = [
    pytest.param(NEW, id="new", marks=pytest.mark.needs("hf", "module:huggingface_hub")),
    pytest.param(OLD, id="old", marks=OLD_ONES),
]

PRELUDE = """
import json, sys
import huggingface_hub as hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download

def error_of(ask):
    try:
        ask()
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__]
    return []
"""


@pytest.fixture(name="venv", params=CLIENTS)
def _venv(request: pytest.FixtureRequest) -> str:
    venv: str = request.param
    return venv


@pytest.fixture(name="script")
def _script(venv: str, run: Run) -> Script:
    """Runs Python with the client imported; `told` is what it says, as JSON."""

    def script(code: str, *arguments: str) -> Any:
        ended = "\nprint(json.dumps(told))\n"
        return json.loads(run(f"{venv}python", "-c", PRELUDE + code + ended, *arguments).stdout)

    return script


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file in a snapshot, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bytes_of(world: World, model: str, folder: str = "") -> dict[str, bytes]:
    return {folder + path: bytes(blob.view()) for path, blob in world.catalogue.models[model].files.items()}


def test_a_whole_repository(world: World, script: Script, tmp_path: Path) -> None:
    """Every file is right, and a blob's name is its SHA-256 (LFS) or git's SHA-1; the CDN never sees the token."""
    folder = script(f"told = snapshot_download('org/tiny', token={TOKEN!r})")
    assert files_below(tmp_path / folder) == bytes_of(world, "tiny")
    repo = world.catalogue.models["tiny"].repo
    assert repo is not None
    assert folder.endswith(f"/models--org--tiny/snapshots/{repo.commit}")
    large = world.catalogue.models["tiny"].files[LARGE]
    assert (tmp_path / folder / LARGE).resolve().name == large.sha256
    small = bytes_of(world, "tiny")["config.json"]
    named = hashlib.sha1(b"blob %d\0" % len(small) + small).hexdigest()
    assert (tmp_path / folder / "config.json").resolve().name == named
    assert world.journal.select(server="cdn", method="GET")
    assert all(
        "authorization" in entry.headers for entry in world.journal.select(server="hub", path="/org/*")
    )
    assert not any("authorization" in entry.headers for entry in world.journal.select(server="cdn"))


def test_one_file_and_then_the_same_again(world: World, script: Script) -> None:
    """The second time it asks by HEAD whether the file has changed; by its commit it need not even ask."""
    code = """
first = hf_hub_download("org/tiny", sys.argv[1])
told = [first, hf_hub_download("org/tiny", sys.argv[1]), hf_hub_download("org/tiny", sys.argv[1], revision=sys.argv[2])]
"""
    repo = world.catalogue.models["tiny"].repo
    assert repo is not None
    paths = script(code, LARGE, repo.commit)
    assert len(set(paths)) == 1
    asked = [(entry.server, entry.method) for entry in world.journal.select(path="*model*")]
    asked += [(entry.server, entry.method) for entry in world.journal.select(server="cdn")]
    assert asked.count(("hub", "HEAD")) == 2
    assert asked.count(("cdn", "GET")) == 1


def test_a_data_set_and_an_old_name(world: World, script: Script, tmp_path: Path) -> None:
    code = """
told = [
    snapshot_download("org/voices", repo_type="dataset", allow_patterns="tts/*"),
    hf_hub_download("old/name", "config.json"),
    hf_hub_download("org/gated", "secret.bin", token=sys.argv[1]),
]
"""
    voices, renamed, secret = script(code, TOKEN)
    assert files_below(tmp_path / voices) == bytes_of(world, "voices", "tts/")
    assert (tmp_path / renamed).read_bytes() == bytes_of(world, "tiny")["config.json"]
    assert (tmp_path / secret).read_bytes() == bytes_of(world, "gated")["secret.bin"]


def test_the_api(world: World, script: Script) -> None:
    """`tree` in pages of two: Link is followed; the form of paths-info is understood."""
    code = """
api = HfApi()
tree = list(api.list_repo_tree("org/tiny", recursive=True))
told = {
    "tree": {entry.path: entry.lfs.sha256 if getattr(entry, "lfs", None) else None for entry in tree},
    "files": api.list_repo_files("org/tiny"),
    "paths": [entry.size for entry in api.get_paths_info("org/tiny", [sys.argv[1], "nope"])],
    "expanded": [entry.last_commit.oid for entry in api.get_paths_info("org/tiny", [sys.argv[1]], expand=True)],
    "refs": [branch.target_commit for branch in api.list_repo_refs("org/tiny").branches],
    "commits": [commit.commit_id for commit in api.list_repo_commits("org/tiny")],
    "gated": [api.model_info(name).gated for name in ("org/tiny", "org/gated")],
    "blobs": {file.rfilename: file.size for file in api.model_info("org/tiny", files_metadata=True).siblings},
    "data set": api.dataset_info("org/voices").sha,
    "exists": [api.file_exists("org/tiny", name) for name in ("config.json", "nope")],
    "me": api.whoami(token=sys.argv[2])["name"],
}
"""
    told = script(code, LARGE, TOKEN)
    model, voices = (world.catalogue.models[name] for name in ("tiny", "voices"))
    assert model.repo is not None
    assert voices.repo is not None
    sizes = {path: blob.size for path, blob in model.files.items()}
    assert told == {
        "tree": {"config.json": None, "empty.txt": None, "onnx": None, LARGE: model.files[LARGE].sha256},
        "files": sorted(sizes),
        "paths": [3_000_000],
        "expanded": [model.repo.commit],
        "refs": [model.repo.commit],
        "commits": [model.repo.commit],
        "gated": [False, "auto"],
        "blobs": sizes,
        "data set": voices.repo.commit,
        "exists": [True, False],
        "me": "fake-user",
    }
    assert [entry.query for entry in world.journal.select(path="*/tree/main")][-1].endswith("cursor=2")


ERRORS = """
told = {
    "no repository": error_of(lambda: hf_hub_download("org/nope", "config.json")),
    "no repository, listed": error_of(lambda: snapshot_download("org/nope")),
    "no file": error_of(lambda: hf_hub_download("org/tiny", "nope.json")),
    "no revision": error_of(lambda: hf_hub_download("org/tiny", "config.json", revision="v9")),
    "gated, no token": error_of(lambda: hf_hub_download("org/gated", "secret.bin", token=False)),
    "gated, a stranger": error_of(lambda: hf_hub_download("org/gated", "secret.bin", token="hf_stranger")),
    "gated, garbage": error_of(lambda: hf_hub_download("org/gated", "secret.bin", token="garbage")),
    "bad token": error_of(lambda: HfApi().model_info("org/tiny", token="garbage")),
    "disabled": error_of(lambda: HfApi().model_info("org/huge")),
}
"""


def test_error_classes(world: World, script: Script) -> None:
    """Each refusal is what the client calls it, told by X-Error-Code or X-Error-Message."""
    world.add(
        "hub", Status(403, headers={"X-Error-Message": "Access to this resource is disabled."}), path="*huge*"
    )
    told = script(ERRORS)
    expected = {
        "no repository": "RepositoryNotFoundError",
        "no repository, listed": "RepositoryNotFoundError",
        "no file": "EntryNotFoundError",
        "no revision": "RevisionNotFoundError",
        "gated, no token": "GatedRepoError",
        "gated, a stranger": "GatedRepoError",
        "gated, garbage": "GatedRepoError",
        "bad token": "HfHubHTTPError",
        "disabled": "DisabledRepoError",
    }
    assert {case: name for case, name in expected.items() if name not in told[case]} == {}
    assert told["bad token"][0] == "HfHubHTTPError"
    assert "GatedRepoError" not in told["no repository"]


def test_a_hub_that_counts(script: Script) -> None:
    """With nothing left the client waits for the window to pass, and goes on."""
    with World(MODELS, size="full", gateways=0, page_size=2, hub_quota=1, hub_window_s=1.0) as world:
        code = """
began = time.monotonic()
told = [[e.path for e in HfApi(endpoint=sys.argv[1]).list_repo_tree("org/tiny", recursive=True)], time.monotonic() - began]
"""
        paths, seconds = script("import time" + code, world.hub)
        assert paths == ["config.json", "empty.txt", "onnx", LARGE]
        assert 1 <= seconds < 10
        assert [entry.status for entry in world.journal] == [200, 429, 200]


def test_a_cut_is_resumed_by_range(world: World, venv: str, script: Script, tmp_path: Path) -> None:
    """After what a buffer of 10 MiB had let through to the disk: the new one at once, the old one when asked again."""
    world.add("cdn", Truncate(offset=11_000_000), method="GET", first=1)
    code = """
failed = error_of(lambda: hf_hub_download("org/huge", "huge.bin"))
told = [failed, hf_hub_download("org/huge", "huge.bin")]
"""
    failed, got = script(code)
    assert (failed != []) is (venv == OLD)
    assert (tmp_path / got).read_bytes() == bytes_of(world, "huge")["huge.bin"]
    ranges = [(entry.range, entry.status) for entry in world.journal.select(server="cdn", method="GET")]
    assert ranges == [(None, 200), (f"bytes={10 << 20}-", 206)]


@pytest.mark.parametrize("venv", CLIENTS[:1], indirect=True)
def test_a_rate_limit_at_a_download(world: World, script: Script) -> None:
    """Told by RateLimit alone, the new one waits a second longer than it says; the old one fails."""
    world.add("hub", RateLimited(seconds=0), method="GET", path="*/resolve*", first=1)
    began = time.monotonic()
    assert script("told = hf_hub_download('org/tiny', 'config.json')")
    assert time.monotonic() - began >= 1


def test_the_program(world: World, venv: str, run: Run, tmp_path: Path) -> None:
    done = run(f"{venv}hf", "download", "org/tiny", "--local-dir", "got")
    assert done.stdout.strip().splitlines()[-1].endswith("got")
    got = {
        path: data for path, data in files_below(tmp_path / "got").items() if not path.startswith(".cache")
    }
    assert got == bytes_of(world, "tiny")
    refused = run(f"{venv}hf", "download", "org/gated", "secret.bin", code=None)
    assert refused.returncode != 0
    run(f"{venv}hf", "download", "org/voices", "--repo-type", "dataset", "--quiet")


@pytest.mark.needs("hf")
@pytest.mark.parametrize("wrong", [False, True])
def test_verify(world: World, run: Run, wrong: bool) -> None:  # noqa: FBT001  # a case
    """A flipped bit is stored without a word, and found by `hf cache verify`, which compares with `tree`."""
    if wrong:
        world.add("cdn", Corrupt())
    run("hf", "download", "org/tiny")
    done = run("hf", "cache", "verify", "org/tiny", "--fail-on-missing-files", code=None)
    assert (done.returncode != 0) is wrong, done.stdout + done.stderr


def test_a_newer_commit_and_the_one_before(world: World, script: Script, tmp_path: Path) -> None:
    """What `world.push` makes is a commit to the real client: both snapshots are right, each by its own name."""
    first = world.catalogue.models["tiny"].repo
    assert first is not None
    pushed = world.push("org/tiny", {"config.json": 31, LARGE: 70_000})
    code = f"""
told = [snapshot_download("org/tiny", token={TOKEN!r}, revision=revision) for revision in sys.argv[1:]]
told += [[commit.commit_id for commit in HfApi().list_repo_commits("org/tiny")]]
"""
    new, old, history = script(code, "main", first.commit)
    assert files_below(tmp_path / new) == {
        path: bytes(file.blob.view()) for path, file in pushed.files.items()
    }
    assert files_below(tmp_path / old) == bytes_of(world, "tiny")
    assert new.endswith(f"/snapshots/{pushed.commit}")
    assert history == [pushed.commit, first.commit]
