"""Tokens, gates and missing repositories: every row of the real Hub's table, at files and at the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.fakes.conftest import Heard, Talk

TOKEN = "hf_good"
WHO = {
    "anonymous": [],
    "granted": [f"Authorization: Bearer {TOKEN}"],
    "stranger": ["Authorization: Bearer hf_stranger"],
    "garbage": ["Authorization: Bearer nonsense"],
    "basic": ["Authorization: Basic aGZfZ29vZDo="],
}
BAD_TOKEN = (401, None, "Invalid credentials in Authorization header")


@pytest.fixture(name="shut")
def _shut(tiny: dict[str, Any]) -> Iterator[World]:
    """A world whose one repository has a gate."""
    with World(tiny, token=TOKEN, gated=["org/tiny"]) as world:
        yield world


def said(heard: Heard) -> tuple[int, str | None, str]:
    assert json.loads(heard.body)["error"] == heard.headers["x-error-message"]
    return heard.status, heard.headers.get("x-error-code"), heard.headers["x-error-message"]


@pytest.mark.parametrize("path", ["config.json", "onnx/big%20one.bin"])
@pytest.mark.parametrize(
    ("who", "status"), [("anonymous", 401), ("garbage", 401), ("basic", 401), ("stranger", 403)]
)
def test_a_gate_is_shut(shut: World, talk: Talk, path: str, who: str, status: int) -> None:
    heard = talk(f"{shut.hub}/org/tiny/resolve/main/{path}", *WHO[who])
    assert said(heard)[:2] == (status, "GatedRepo")
    assert "restricted" in heard.headers["x-error-message"]
    assert "location" not in heard.headers


def test_a_gate_is_open_to_the_token(shut: World, talk: Talk) -> None:
    root = f"{shut.hub}/org/tiny/resolve/main"
    small = talk(f"{root}/config.json", *WHO["granted"])
    assert small.status == 307
    assert talk(f"{root}/onnx/big%20one.bin", *WHO["granted"]).status == 302
    kept = shut.hub + small.headers["location"]
    assert talk(kept, *WHO["granted"]).status == 200
    assert talk(kept).status == 401


@pytest.mark.parametrize("who", ["anonymous", "stranger", "granted"])
def test_what_is_behind_a_gate_is_no_secret(shut: World, talk: Talk, who: str) -> None:
    for path in ("", "/revision/main", "/tree/main", "/refs"):
        heard = talk(f"{shut.hub}/api/models/org/tiny{path}", *WHO[who])
        assert heard.status == 200
    info = json.loads(talk(f"{shut.hub}/api/models/org/tiny").body)
    assert (info["gated"], len(info["siblings"])) == ("auto", 3)


def test_without_a_gate_everybody_is_let_in_but_garbage(world: World, talk: Talk) -> None:
    for who, headers in WHO.items():
        heard = [
            talk(f"{world.hub}{path}", *headers)
            for path in ("/org/tiny/resolve/main/config.json", "/api/models/org/tiny")
        ]
        if who in {"garbage", "basic"}:
            assert [said(one) for one in heard] == [BAD_TOKEN, BAD_TOKEN]
        else:
            assert [one.status for one in heard] == [307, 200]
    assert json.loads(talk(f"{world.hub}/api/models/org/tiny").body)["gated"] is False


@pytest.mark.parametrize(
    "path", ["/org/nope/resolve/main/x", "/api/models/org/nope", "/api/models/nope/tree/main"]
)
def test_what_is_not_there_is_told_as_the_world_says(tiny: dict[str, Any], talk: Talk, path: str) -> None:
    """The real Hub tells nobody without a token whether a repository exists."""
    missing = (404, "RepoNotFound", "Repository not found")
    with World(tiny, anonymous_missing="401", token=TOKEN) as world:
        assert said(talk(world.hub + path)) == (401, None, "Invalid username or password.")
        assert said(talk(world.hub + path, *WHO["granted"])) == missing
        assert said(talk(world.hub + path, *WHO["garbage"])) == BAD_TOKEN
    with World(tiny) as world:
        assert said(talk(world.hub + path)) == missing


def test_whoami(shut: World, talk: Talk) -> None:
    url = f"{shut.hub}/api/whoami-v2"
    for who, name in (("granted", "fake-user"), ("stranger", "stranger")):
        me = json.loads(talk(url, *WHO[who]).body)
        assert (me["type"], me["name"]) == ("user", name)
        assert TOKEN not in json.dumps(me)
    assert said(talk(url)) == (401, None, "Invalid username or password.")
    assert said(talk(url, *WHO["garbage"])) == BAD_TOKEN


def test_who_sends_no_token_is_warned(world: World, talk: Talk) -> None:
    url = f"{world.hub}/org/tiny/resolve/main/config.json"
    assert talk(url).headers["x-hf-warning"].startswith("unauthenticated; ")
    assert "x-hf-warning" not in talk(url, *WHO["stranger"]).headers


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/old/name/resolve/main/config.json?x=1", "/org/tiny/resolve/main/config.json?x=1"),
        ("/api/models/old/name", "/api/models/org/tiny"),
        ("/api/models/old/name/tree/main?recursive=true", "/api/models/org/tiny/tree/main?recursive=true"),
        ("/api/models/alone/revision/main", "/api/models/org/tiny/revision/main"),
        ("/alone/resolve/main/config.json", "/org/tiny/resolve/main/config.json"),
    ],
)
def test_a_renamed_repository_is_a_relative_redirect(
    tiny: dict[str, Any], talk: Talk, old: str, new: str
) -> None:
    with World(tiny, renamed={"old/name": "org/tiny", "alone": "org/tiny"}) as world:
        heard = talk(world.hub + old)
        assert (heard.status, heard.headers["location"]) == (307, new)
        assert talk(world.hub + new).status in {200, 307}
