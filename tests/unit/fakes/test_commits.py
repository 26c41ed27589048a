"""A repository of the fake Hub gets another commit: branches move, and what was before stays to be had."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from fakes.world import World

LARGE = "onnx/big one.bin"


def fetched(world: World, revision: str, path: str) -> requests.Response:
    return requests.get(f"{world.hub}/org/tiny/resolve/{revision}/{path}", timeout=5)


def asked(world: World, what: str, **headers: str) -> requests.Response:
    return requests.get(f"{world.hub}/api/models/org/tiny/{what}", headers=headers, timeout=5)


@pytest.fixture(name="first")
def _first(world: World) -> str:
    commit: str = asked(world, "revision/main").json()["sha"]
    return commit


def test_branches_stand_at_the_new_commit_and_the_old_one_stays(world: World, first: str) -> None:
    """In LFS and outside it; bytes of the same size are others; what was not named is the same."""
    old = {path: fetched(world, "main", path).content for path in (LARGE, "config.json")}
    size = len(old["config.json"])
    repo = world.push("org/tiny", {"config.json": size, LARGE: 50_000, "more/new.txt": 5})
    assert (
        asked(world, "revision/main").json()["sha"] == asked(world, "").json()["sha"] == repo.commit != first
    )
    for path in (LARGE, "config.json", "more/new.txt"):
        new = fetched(world, "main", path).content
        assert hashlib.sha256(new).hexdigest() == repo.files[path].blob.sha256
        assert new == fetched(world, repo.commit, path).content
        assert new != old.get(path)
    assert {path: fetched(world, first, path).content for path in old} == old
    missing = fetched(world, first, "more/new.txt")
    assert (missing.status_code, missing.headers["x-repo-commit"]) == (404, first)
    assert len(fetched(world, "main", "config.json").content) == size


def test_a_file_that_is_taken_away_is_in_no_list(world: World, first: str) -> None:
    world.push("org/tiny", {"config.json": None})
    assert fetched(world, "main", "config.json").headers["x-error-code"] == "EntryNotFound"
    listed = {
        revision: paths(asked(world, f"tree/{revision}?recursive=true")) for revision in ("main", first)
    }
    assert listed[first] - listed["main"] == {"config.json"}


def paths(answer: requests.Response) -> set[str]:
    return {entry["path"] for entry in answer.json()}


def test_history_is_told(world: World, first: str) -> None:
    """Newest first; refs stand at the last; each entry knows the commit that it came with."""
    second = world.push("org/tiny", {"a.txt": 1}).commit
    third = world.push("org/tiny", {"config.json": 9}).commit
    answer = asked(world, "commits/main")
    assert [commit["id"] for commit in answer.json()] == [third, second, first]
    assert answer.headers["x-total-count"] == "3"
    assert [commit["id"] for commit in asked(world, f"commits/{second}").json()] == [second, first]
    assert asked(world, "refs").json()["branches"][0]["targetCommit"] == third
    tree = asked(world, "tree/main?recursive=true&expand=true").json()
    came_with = {entry["path"]: entry["lastCommit"]["id"] for entry in tree}
    assert (came_with["a.txt"], came_with["config.json"], came_with[LARGE]) == (second, third, first)


def test_what_a_revision_is_has_an_etag(world: World) -> None:
    """304 to who has it; another commit has another."""
    etag = asked(world, "revision/main").headers["etag"]
    again = asked(world, "revision/main", **{"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    world.push("org/tiny", {"a.txt": 1})
    assert asked(world, "revision/main", **{"If-None-Match": etag}).status_code == 200


def test_gateways_know_nothing_of_it(world: World) -> None:
    """Nobody has published it."""
    cid = world.catalogue.models["tiny"].cid
    world.push("org/tiny", {"a.txt": 1})
    assert requests.get(f"{world.gateways[0]}/ipfs/{cid}/a.txt", timeout=5).status_code == 404


def test_another_process_pushes_by_the_control_api(world: World) -> None:
    document = {"repo": "org/tiny", "type": "model", "files": {"a.txt": 3, "config.json": None}}
    answer = requests.post(f"{world.control}/commits", json=document, timeout=5)
    assert answer.status_code == 201
    assert asked(world, "revision/main").json()["sha"] == answer.json()["commit"]
    assert len(fetched(world, "main", "a.txt").content) == 3


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "a commit is"),
        ({"repo": "org/tiny"}, "a commit is"),
        ({"repo": "org/tiny", "files": {"a": "x"}}, "a commit is"),
        ({"repo": "org/tiny", "files": {"a": True}}, "a commit is"),
        ({"repo": "org/tiny", "files": {}, "branch": "x"}, "a commit is"),
        ({"repo": "org/none", "files": {"a": 1}}, "no model repository is called 'org/none'"),
        ({"repo": "org/tiny", "type": "dataset", "files": {"a": 1}}, "no dataset repository"),
        ({"repo": "org/tiny", "files": {"none": None}}, "no file is called 'none'"),
        ({"repo": "org/tiny", "files": {"": 1}}, "no file is called ''"),
        ({"repo": "org/tiny", "files": {"a": -1}}, "cannot be"),
    ],
)
def test_a_commit_that_cannot_be_is_a_400_and_none(
    world: World, first: str, document: Any, says: str
) -> None:
    answer = requests.post(f"{world.control}/commits", json=document, timeout=5)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert asked(world, "revision/main").json()["sha"] == first
