"""The fake Hub's API, as much as its own client asks: repo info, `tree` in pages, `refs`, `paths-info`.

Everything is public, and a repository has one commit. Commits, discussions, uploads and search are not played.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from fakes.answer import json_answer
from fakes.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Answer, Request
    from fakes.catalogue import RepoType
    from fakes.repos import HubFile, HubRepo

_ACTIONS = ("revision", "tree", "refs", "paths-info")


class HubApi:
    """Everything under `/api/` but the cache of small files."""

    def __init__(self, repos: Mapping[tuple[RepoType, str], HubRepo], url: str, page_size: int) -> None:
        self._repos, self._url, self._page_size = repos, url, page_size

    def __call__(self, request: Request) -> Answer:
        """Route by hand: a repo's name may itself hold a slash."""
        parts = request.raw_path.split("/")[2:]
        kinds: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
        kind = kinds.get(parts[0])
        if kind is None:
            return refusal(404, None, "Not Found")
        cut = next((index for index in range(2, len(parts)) if parts[index] in _ACTIONS), len(parts))
        repo = self._repos.get((kind, "/".join(unquote(part) for part in parts[1:cut])))
        if repo is None:
            return refusal(404, "RepoNotFound", "Repository not found")
        action, *rest = [*(unquote(part) for part in parts[cut:]), ""]
        return self._answer(request, repo, action, [part for part in rest if part])

    def _answer(self, request: Request, repo: HubRepo, action: str, rest: list[str]) -> Answer:
        if action == "refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}
            return json_answer(200, {"branches": [branch], "tags": [], "converts": []})
        revision = rest[0] if rest else "main"
        if revision not in repo.revisions:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if action == "tree":
            return self._tree(request, repo, revision, "/".join(rest[1:]))
        if action == "paths-info":
            return _paths_info(request, repo)
        return json_answer(200, _info(repo, blobs="true" in parse_qs(request.query).get("blobs", [])))

    def _tree(self, request: Request, repo: HubRepo, revision: str, folder: str) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        entries = _entries(repo, folder, recursive=query.get("recursive") == "true")
        if folder and not entries:
            return refusal(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")
        numbers = query.get("limit", str(self._page_size)), query.get("cursor", "0")
        if not all(number.isdecimal() for number in numbers):
            return refusal(400, None, "limit and cursor are numbers")
        limit, start = min(self._page_size, int(numbers[0])), int(numbers[1])
        headers = {"X-Repo-Commit": repo.commit}
        if start + limit < len(entries):
            kept = [f"{name}={quote(value)}" for name, value in query.items() if name != "cursor"]
            following = f"{self._url}{request.raw_path}?{'&'.join([*kept, f'cursor={start + limit}'])}"
            headers["Link"] = f'<{following}>; rel="next"'
        return json_answer(200, entries[start : start + limit], headers)


def _info(repo: HubRepo, *, blobs: bool) -> dict[str, Any]:
    siblings = []
    for file in repo.files.values():
        sibling: dict[str, Any] = {"rfilename": file.path}
        if blobs:
            sibling |= {"blobId": file.oid, "size": file.blob.size}
            if file.is_lfs:
                # Here the key is sha256, in tree it is oid: so it is on the real one.
                sibling["lfs"] = {
                    "sha256": file.blob.sha256,
                    "size": file.blob.size,
                    "pointerSize": len(file.pointer),
                }
        siblings.append(sibling)
    return {
        "_id": repo.id,
        "id": repo.name,
        "sha": repo.commit,
        "private": False,
        "gated": False,
        "disabled": False,
        "lastModified": "2025-01-01T00:00:00.000Z",
        "tags": [],
        "siblings": siblings,
    }


def _entries(repo: HubRepo, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below `folder`, sorted by path; without `recursive` only those right in it."""
    start = f"{folder}/" if folder else ""
    below = {path: _entry(file) for path, file in repo.files.items() if path.startswith(start)}
    for path in list(below):
        segments = path.split("/")
        for depth in range(start.count("/") + 1, len(segments)):
            name = "/".join(segments[:depth])
            below[name] = {"type": "directory", "oid": _folder_oid(name), "size": 0, "path": name}
    depth = start.count("/")
    return [below[path] for path in sorted(below) if recursive or path.count("/") == depth]


def _entry(file: HubFile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "oid": file.oid,
        "size": file.blob.size,
        "path": file.path,
    }
    if file.is_lfs:
        entry["lfs"] = {"oid": file.blob.sha256, "size": file.blob.size, "pointerSize": len(file.pointer)}
    return entry


def _folder_oid(name: str) -> str:
    return hashlib.sha1(f"folder {name}".encode(), usedforsecurity=False).hexdigest()


def _paths_info(request: Request, repo: HubRepo) -> Answer:
    if request.method != "POST":
        return json_answer(405, {"error": "Method Not Allowed"}, {"Allow": "POST"})
    asked = parse_qs(request.body.decode(errors="replace")).get("paths", [])
    known = {entry["path"]: entry for entry in _entries(repo, "", recursive=True)}
    return json_answer(200, [known[path] for path in asked if path in known])
