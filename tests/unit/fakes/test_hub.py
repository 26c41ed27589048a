from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from fakes.faults import Status
from fakes.world import World

if TYPE_CHECKING:
    from tests.unit.fakes.conftest import Talk

LARGE = "onnx/big one.bin"


@pytest.fixture
def root(world: World) -> str:
    return f"{world.hub}/org/tiny/resolve/main"


@pytest.fixture
def commit(world: World) -> str:
    repo = world.catalogue.models["tiny"].repo
    assert repo is not None
    return repo.commit


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class TestResolve:
    def test_a_large_file_is_on_another_origin(
        self, world: World, root: str, content: bytes, talk: Talk, commit: str
    ) -> None:
        blob = world.catalogue.models["tiny"].files[LARGE]
        for method in ("HEAD", "GET"):
            heard = talk(f"{root}/onnx/big%20one.bin", method=method)
            assert heard.status == 302
            assert heard.headers["location"].startswith(f"{world.cdn}/xet-bridge-us/")
            assert heard.headers["x-repo-commit"] == commit
            assert heard.headers["x-linked-size"] == str(len(content))
            assert heard.headers["x-linked-etag"] == f'"{blob.sha256}"'
            assert heard.headers["accept-ranges"] == "bytes"
            assert "ratelimit" in heard.headers
            assert "x-xet-hash" not in heard.headers
        assert urlsplit(world.cdn).port != urlsplit(world.hub).port
        assert requests.get(f"{root}/onnx/big%20one.bin", timeout=5).content == content

    def test_the_cdn_gives_an_etag_that_is_no_hash_of_the_bytes(
        self, world: World, root: str, content: bytes, talk: Talk
    ) -> None:
        url = talk(f"{root}/onnx/big%20one.bin", method="HEAD").headers["location"]
        assert {"Expires", "Signature"} <= set(parse_qs(urlsplit(url).query))
        head, part = talk(url, method="HEAD"), talk(url, "Range: bytes=10-19")
        assert head.headers["content-length"] == str(len(content))
        assert world.catalogue.models["tiny"].files[LARGE].sha256 not in head.headers["etag"]
        assert (part.status, part.body) == (206, content[10:20])
        assert part.headers["content-range"] == "bytes 10-19/40000"
        assert talk(url, method="POST").status == 405

    def test_a_signature_covers_path_and_time(self, root: str, talk: Talk) -> None:
        url = talk(f"{root}/onnx/big%20one.bin", method="HEAD").headers["location"]
        later = url.replace("Expires=1", "Expires=2")
        assert later != url
        assert "does not match" in talk(later).body.decode()
        assert talk(url.replace("/xet-bridge-us/", "/other/")).status == 403
        assert talk(urlsplit(url)._replace(query="").geturl()).status == 403

    def test_a_signed_url_expires(self, tiny: dict[str, Any], talk: Talk) -> None:
        with World(tiny, url_ttl_s=0.05) as world:
            url = talk(f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin").headers["location"]
            time.sleep(0.2)
            heard = talk(url)
            assert (heard.status, b"expired" in heard.body) == (403, True)

    def test_a_small_file_is_on_the_same_host(self, world: World, root: str, talk: Talk, commit: str) -> None:
        content = bytes(world.catalogue.models["tiny"].files["config.json"].view())
        heard = talk(f"{root}/config.json", method="HEAD")
        assert heard.status == 307
        location = heard.headers["location"]
        assert location.startswith(f"/api/resolve-cache/models/org/tiny/{commit}/config.json?")
        assert heard.headers["x-linked-etag"] == f'"{git_sha1(content)}"'
        last = talk(world.hub + location, method="HEAD")
        assert (last.status, last.headers["content-length"]) == (200, "700")
        assert last.headers["etag"] == f'"{git_sha1(content)}"'
        assert last.headers["x-repo-commit"] == commit
        assert talk(world.hub + location, f"If-None-Match: {last.headers['etag']}").status == 304
        assert requests.get(f"{root}/config.json", timeout=5).content == content
        assert requests.get(f"{root}/empty.txt", timeout=5).content == b""
        assert talk(f"{world.hub}/api/resolve-cache/models/org/tiny/{commit}/nope").status == 404

    def test_a_revision_is_main_or_the_commit(self, world: World, commit: str) -> None:
        for revision in ("main", commit):
            url = f"{world.hub}/org/tiny/resolve/{revision}/config.json"
            assert requests.get(url, timeout=5).status_code == 200

    def test_datasets_have_a_prefix(self) -> None:
        with World() as world:
            models = world.catalogue.models
            url = f"{world.hub}/datasets/AnEntrypoint/sttttsmodels/resolve/main/tts/tokenizer.model"
            expected = bytes(models["tts-models"].files["tokenizer.model"].view())
            assert requests.get(url, timeout=5).content == expected
            assert requests.get(url.replace("/datasets", ""), timeout=5).status_code == 404
            pinned = world.manifest()["whisper-base"]["huggingface"]["revision"]
            url = f"{world.hub}/onnx-community/whisper-base/resolve/{pinned}/config.json"
            response = requests.get(url, timeout=5)
            assert response.headers["X-Repo-Commit"] == pinned

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/org/nope/resolve/main/config.json", "RepoNotFound"),
            ("/org/tiny/resolve/v9/config.json", "RevisionNotFound"),
            ("/org/tiny/resolve/main/nope.json", "EntryNotFound"),
            ("/api/models/org/nope", "RepoNotFound"),
            ("/api/models/org/tiny/revision/v9", "RevisionNotFound"),
            ("/api/models/org/tiny/tree/main/nope", "EntryNotFound"),
            ("/org/tiny/resolve/v%0d%0aX-Evil:%201/config.json", "RevisionNotFound"),
            ("/org/tiny/resolve/%E2%82%AC/config.json", "RevisionNotFound"),
        ],
    )
    def test_errors_carry_a_code(self, world: World, talk: Talk, path: str, code: str, commit: str) -> None:
        heard = talk(world.hub + path)
        assert (heard.status, heard.headers["x-error-code"]) == (404, code)
        assert b'{"error": ' in heard.body
        assert "x-evil" not in heard.headers
        if code == "EntryNotFound" and "resolve" in path:
            assert heard.headers["x-repo-commit"] == commit

    def test_other_paths_and_methods(self, world: World, root: str, talk: Talk) -> None:
        assert talk(f"{world.hub}/").status == 404
        assert talk(f"{world.hub}/api/agent-harnesses").status == 404
        assert talk(f"{root}/config.json", method="PUT").status == 405


class TestApi:
    def test_info(self, world: World, commit: str) -> None:
        for url in ("/api/models/org/tiny", "/api/models/org/tiny/revision/main"):
            info = requests.get(world.hub + url, timeout=5).json()
            assert (info["id"], info["sha"]) == ("org/tiny", commit)
            assert {"rfilename": LARGE} in info["siblings"]
        info = requests.get(f"{world.hub}/api/models/org/tiny?blobs=true", timeout=5).json()
        large = next(file for file in info["siblings"] if file["rfilename"] == LARGE)
        assert large["lfs"]["sha256"] == world.manifest()["tiny"]["files"][LARGE]["sha256"]
        assert large["size"] == 40_000

    def test_tree(self, world: World) -> None:
        url = f"{world.hub}/api/models/org/tiny/tree/main"
        entries = {entry["path"]: entry for entry in requests.get(f"{url}?recursive=true", timeout=5).json()}
        assert set(entries) == {"config.json", "empty.txt", "onnx", LARGE}
        assert entries["onnx"]["type"] == "directory"
        assert entries[LARGE]["lfs"]["oid"] == world.manifest()["tiny"]["files"][LARGE]["sha256"]
        small = bytes(world.catalogue.models["tiny"].files["config.json"].view())
        assert entries["config.json"]["oid"] == git_sha1(small)
        assert "lfs" not in entries["config.json"]
        assert not any("xetHash" in entry for entry in entries.values())
        flat = [entry["path"] for entry in requests.get(url, timeout=5).json()]
        assert flat == ["config.json", "empty.txt", "onnx"]
        assert [entry["path"] for entry in requests.get(f"{url}/onnx", timeout=5).json()] == [LARGE]

    def test_tree_comes_in_pages(self, tiny: dict[str, Any]) -> None:
        with World(tiny, page_size=1) as world:
            url: str | None = f"{world.hub}/api/models/org/tiny/tree/main?recursive=true"
            paths = []
            while url:
                response = requests.get(url, timeout=5)
                paths += [entry["path"] for entry in response.json()]
                url = response.links.get("next", {}).get("url")
                assert url is None or url.startswith(world.hub)
        assert paths == ["config.json", "empty.txt", "onnx", LARGE]

    def test_a_cursor_of_nonsense(self, world: World) -> None:
        url = f"{world.hub}/api/models/org/tiny/tree/main?cursor=x"
        assert requests.get(url, timeout=5).status_code == 400

    def test_refs(self, world: World, commit: str) -> None:
        refs = requests.get(f"{world.hub}/api/models/org/tiny/refs", timeout=5).json()
        assert refs["branches"] == [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}]

    def test_paths_info_is_a_form(self, world: World) -> None:
        url = f"{world.hub}/api/models/org/tiny/paths-info/main"
        asked = {"paths": [LARGE, "nope"], "expand": "false"}
        assert [entry["path"] for entry in requests.post(url, data=asked, timeout=5).json()] == [LARGE]
        assert requests.get(url, timeout=5).status_code == 405

    def test_expand_tells_of_the_last_commit(self, world: World, commit: str) -> None:
        url = f"{world.hub}/api/models/org/tiny"
        [tree] = requests.get(f"{url}/tree/main/onnx?expand=true", timeout=5).json()
        asked = {"paths": LARGE, "expand": "True"}  # as old clients spell it
        [path] = requests.post(f"{url}/paths-info/main", data=asked, timeout=5).json()
        assert tree == path
        assert tree["lastCommit"]["id"] == commit

    def test_an_expanded_tree_has_small_pages(self) -> None:
        files = {f"f{number:03}": {"size": 1} for number in range(60)}
        manifest = {"m": {"huggingface": {"repo": "m"}, "files": files}}
        with World(manifest) as world:
            url = f"{world.hub}/api/models/m/tree/main"
            assert [
                len(requests.get(f"{url}{query}", timeout=5).json()) for query in ("", "?expand=true")
            ] == [60, 50]
            assert len(requests.get(f"{url}?limit=0", timeout=5).json()) == 1

    def test_commits(self, world: World, commit: str) -> None:
        response = requests.get(f"{world.hub}/api/models/org/tiny/commits/main", timeout=5)
        assert [one["id"] for one in response.json()] == [commit]
        assert response.headers["X-Total-Count"] == "1"

    @pytest.mark.parametrize("action", ["xet-read-token/main", "discussions", "nope"])
    def test_what_is_not_played(self, world: World, action: str) -> None:
        assert requests.get(f"{world.hub}/api/models/org/tiny/{action}", timeout=5).status_code == 404

    def test_names_that_look_like_actions(self) -> None:
        for name in ("refs", "org/tree", "tree/main"):
            with World({"m": {"huggingface": {"repo": name}, "files": {"f": {"size": 1}}}}) as world:
                url = f"{world.hub}/api/models/{name}"
                assert requests.get(url, timeout=5).json()["id"] == name
                assert len(requests.get(f"{url}/tree/main", timeout=5).json()) == 1


def test_faults_reach_hub_and_cdn_apart(world: World, root: str, talk: Talk) -> None:
    world.add("cdn", Status(403))
    assert talk(f"{root}/onnx/big%20one.bin").status == 302
    assert requests.get(f"{root}/onnx/big%20one.bin", timeout=5).status_code == 403
    assert requests.get(f"{root}/config.json", timeout=5).status_code == 200
