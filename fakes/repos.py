"""The repositories a fake Hub holds: a catalogue's models by type and name, with the commits each has had.

A `push` makes another commit, at which all branches stand from then on; the earlier ones stay to be had by their ids.

A file of 10 KiB or more, or a `.onnx`, is kept as LFS: known by its SHA-256 and served by the CDN. A smaller one is a
plain git blob, known by git's SHA-1 alone.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes.content import make_blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fakes.catalogue import Catalogue, RepoType
    from fakes.content import Blob

LFS_FROM = 10 * 1024  # bytes


@dataclass(frozen=True)
class HubFile:
    """One file of a repository: its path in it, and its bytes."""

    path: str
    blob: Blob

    @property
    def name(self) -> str:
        """The last segment of its path."""
        return posixpath.basename(self.path)

    @property
    def is_lfs(self) -> bool:
        """Whether the repository holds a pointer and the CDN the bytes."""
        return self.blob.size >= LFS_FROM or self.path.endswith(".onnx")

    @property
    def pointer(self) -> bytes:
        """The text that git has in place of an LFS file (git-lfs specification, "The Pointer")."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.blob.sha256}\nsize {self.blob.size}\n"
        ).encode()

    @functools.cached_property
    def oid(self) -> str:
        """Git's own name for the blob: of the bytes, or of the pointer."""
        content = self.pointer if self.is_lfs else bytes(self.blob.view())
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        """What the Hub calls the file's linked ETag: SHA-256 for LFS, git's SHA-1 otherwise."""
        return self.blob.sha256 if self.is_lfs else self.oid


@dataclass(frozen=True)
class HubRepo:
    """One repository at one of its commits; `branches` stand there, and `earlier` is what it was before."""

    type: RepoType
    name: str
    commit: str
    branches: frozenset[str]
    files: Mapping[str, HubFile]
    earlier: HubRepo | None = None

    @property
    def id(self) -> str:
        """The Hub's internal id: 24 hex digits."""
        return hashlib.sha256(f"id of {self.type} {self.name}".encode()).hexdigest()[:24]

    def at(self, revision: str) -> HubRepo | None:
        """The repository at a branch or commit of its; None if it has none of that name."""
        return next((each for each in self.history() if revision in {each.commit, *each.branches}), None)

    def history(self) -> Iterator[HubRepo]:
        """It at each of its commits, the newest first."""
        repo: HubRepo | None = self
        while repo is not None:
            yield repo
            repo = repo.earlier

    def pushed(self, changes: Mapping[str, int | None]) -> HubRepo:
        """It at a new commit: files with new bytes, so many of them, in place of those of the same path; None takes one away.

        Raises:
            ValueError: a path is none, or a file that is to be taken away is not there.
        """
        number = sum(1 for _ in self.history())
        absent = [path for path, size in changes.items() if size is None and path not in self.files]
        if absent or not all(changes):
            raise ValueError(f"{self.name}: no file is called {', '.join(map(repr, absent)) or repr('')}")
        blobs = {
            path: make_blob(f"{self.name}@{number}/{path}", size)
            for path, size in changes.items()
            if size is not None
        }
        kept = {path: file for path, file in self.files.items() if path not in changes}
        told = f"commit {number} of {self.type} {self.name}: {sorted(changes.items())}"
        return HubRepo(
            type=self.type,
            name=self.name,
            commit=hashlib.sha256(told.encode()).hexdigest()[:40],
            branches=self.branches,
            files=kept | {path: HubFile(path, blob) for path, blob in blobs.items()},
            earlier=dataclasses.replace(self, branches=frozenset()),
        )


def repos_of(catalogue: Catalogue) -> dict[tuple[RepoType, str], HubRepo]:
    """The repositories of a catalogue; models that name the same one share it, and its first model says the commit."""
    repos: dict[tuple[RepoType, str], HubRepo] = {}
    for model in catalogue.models.values():
        if model.repo is None:
            continue
        key = (model.repo.type, model.repo.name)
        paths = {posixpath.join(model.repo.path, path): blob for path, blob in model.files.items()}
        files = {path: HubFile(path, blob) for path, blob in paths.items()}
        known = repos.get(key)
        repos[key] = HubRepo(
            type=model.repo.type,
            name=model.repo.name,
            commit=known.commit if known else model.repo.commit,
            branches=frozenset({"main", model.repo.revision} - {model.repo.commit})
            | (known.branches if known else frozenset()),
            files={**(known.files if known else {}), **files},
        )
    return repos
