"""The JSON that the fake Hub's API gives of a repository: info, tree entries, refs, commits. Pure: no requests here."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakes.repos import HubFile, HubRepo

_DATE = "2025-01-01T00:00:00.000Z"  # of everything: here, commits have an order and no time


def info(repo: HubRepo, *, blobs: bool, gated: bool) -> dict[str, Any]:
    """Of a repository; `blobs` adds to each of its `siblings` what it is and how large."""
    return {
        "_id": repo.id,
        "id": repo.name,
        "author": repo.name.rpartition("/")[0] or None,
        "sha": repo.commit,
        "private": False,
        "gated": "auto" if gated else False,
        "disabled": False,
        "createdAt": _DATE,
        "lastModified": _DATE,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [_sibling(file, blobs=blobs) for file in repo.files.values()],
    }


def _sibling(file: HubFile, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.path}
    sibling = {"rfilename": file.path, "blobId": file.oid, "size": file.blob.size}
    # Here the key is sha256, in tree it is oid: so it is on the real one.
    return sibling | ({"lfs": {"sha256": file.blob.sha256, **_pointer(file)}} if file.is_lfs else {})


def _pointer(file: HubFile) -> dict[str, int]:
    return {"size": file.blob.size, "pointerSize": len(file.pointer)}


def entries(repo: HubRepo, folder: str, *, recursive: bool, expand: bool = False) -> list[dict[str, Any]]:
    """Files and folders below `folder`, sorted by path; without `recursive` only those right in it."""
    start = f"{folder}/" if folder else ""
    below = {path: _file(file) for path, file in repo.files.items() if path.startswith(start)}
    for path in list(below):
        segments = path.split("/")
        for depth in range(start.count("/") + 1, len(segments)):
            name = "/".join(segments[:depth])
            below[name] = {"type": "directory", "oid": _folder_oid(name), "size": 0, "path": name}
    if expand:
        last = {"title": "A commit", "date": _DATE}
        below = {
            path: {**entry, "lastCommit": {"id": _last(repo, path), **last}} for path, entry in below.items()
        }
    depth = start.count("/")
    return [below[path] for path in sorted(below) if recursive or path.count("/") == depth]


def _file(file: HubFile) -> dict[str, Any]:
    entry = {"type": "file", "oid": file.oid, "size": file.blob.size, "path": file.path}
    return entry | ({"lfs": {"oid": file.blob.sha256, **_pointer(file)}} if file.is_lfs else {})


def _folder_oid(name: str) -> str:
    return hashlib.sha1(f"folder {name}".encode(), usedforsecurity=False).hexdigest()


def refs(repo: HubRepo) -> dict[str, Any]:
    """Branches and tags: there is `main`."""
    branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}
    return {"branches": [branch], "tags": [], "converts": []}


def commits(repo: HubRepo) -> list[dict[str, Any]]:
    """The history of a repository, the newest commit first."""
    told = {
        "title": "A commit",
        "message": "",
        "authors": [{"user": "fake-user", "avatar": ""}],
        "date": _DATE,
    }
    return [{"id": each.commit, **told} for each in repo.history()]


def _last(repo: HubRepo, path: str) -> str:
    """The commit that gave a file its bytes; of a folder, the one that is shown."""
    commit = repo.commit
    for each in repo.history():
        if each.files.get(path) != repo.files.get(path):
            break
        commit = each.commit if path in each.files else commit
    return commit
