"""A fake HuggingFace Hub: `resolve` with its real redirects, and the front door of its API.

Small git files are redirected (307, relative) to a cache on the same host, LFS files (302) to a signed URL of the CDN,
which is another origin. Headers are those the real client reads. Xet is never offered.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from fakes.access import Access, Caller
from fakes.answer import text_answer
from fakes.hub_api import HubApi
from fakes.media import disposition, media_type
from fakes.quota import Quota, rationed
from fakes.ranges import file_answer
from fakes.refusal import refusal
from fakes.repos import repos_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Answer, Request
    from fakes.catalogue import Catalogue, RepoType
    from fakes.cdn import Cdn
    from fakes.repos import HubFile, HubRepo

_ALWAYS = {
    "X-Powered-By": "huggingface-moon",
    "Access-Control-Expose-Headers": (
        "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,"
        "X-Linked-Size,X-Linked-ETag"
    ),
}
_WARNING = "unauthenticated; You are sending unauthenticated requests to the Hub. Set HF_TOKEN for higher rate limits."
_PREFIXES: Final[dict[str, RepoType]] = {"datasets": "dataset", "spaces": "space"}
_CACHE = "/api/resolve-cache/"


class Hub:
    """The Hub's site: `access` says who may have what, `quota` how often, `page_size` how many entries `tree` gives at once."""

    def __init__(
        self,
        catalogue: Catalogue,
        cdn: Cdn,
        url: str,
        *,
        access: Access | None = None,
        quota: Quota | None = None,
        page_size: int = 1000,
    ) -> None:
        self._repos = repos_of(catalogue)
        self._cdn = cdn
        self._access, self._quota = access or Access(), quota or Quota()
        self._api = HubApi(self._repos, url, page_size, self._access)

    def push(self, kind: RepoType, name: str, changes: Mapping[str, int | None]) -> HubRepo:
        """Give a repository a new commit (see `HubRepo.pushed`), and its new bytes to the CDN.

        Raises:
            ValueError: there is no such repository, or no such commit of it.
        """
        repo = self._repos.get((kind, name))
        if repo is None:
            raise ValueError(f"no {kind} repository is called {name!r}")
        pushed = repo.pushed(changes)
        for file in pushed.files.values():
            self._cdn.add(file.blob)
        self._repos[kind, name] = pushed
        return pushed

    def __call__(self, request: Request) -> Answer:
        """Answer as the healthy Hub does."""
        caller = self._access.caller(request)
        is_api = request.raw_path.startswith("/api/") and not request.raw_path.startswith(_CACHE)
        who = request.header("authorization") or request.client.partition(":")[0]
        spent = self._quota.spend("api" if is_api else "resolvers", who)
        answer = self._answer(request, caller) if spent.allowed else rationed()
        request_id = hashlib.sha256(f"{request.client} {request.raw_path}".encode()).hexdigest()[:32]
        headers = {**_ALWAYS, **spent.headers(), "X-Request-Id": f"Root=1-{request_id}"}
        if caller is Caller.ANONYMOUS:
            headers["X-HF-Warning"] = _WARNING
        return answer.with_headers(headers)

    def _answer(self, request: Request, caller: Caller) -> Answer:
        if request.raw_path.startswith(_CACHE):
            return self._cached(request, caller)
        if request.raw_path.startswith("/api/"):
            return self._api(request, caller)
        if request.method not in {"GET", "HEAD"}:
            return text_answer(405, "", {"Allow": "GET, HEAD"})
        where, found, rest = request.raw_path.partition("/resolve/")
        if not found:
            return refusal(404, None, "Sorry, we can't find the page you are looking for.")
        prefix, _, name = where.lstrip("/").partition("/")
        kind, name = (_PREFIXES[prefix], name) if prefix in _PREFIXES else ("model", where.lstrip("/"))
        repo = self._repos.get((kind, unquote(name)))
        if repo is None:
            return self._access.missing(request, caller, unquote(name))
        return self._access.gate(caller, repo) or self._resolve(request, repo, rest)

    def _resolve(self, request: Request, repo: HubRepo, rest: str) -> Answer:
        revision, _, path = (unquote(part) for part in rest.partition("/"))
        there = repo.at(revision)
        if there is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        file = there.files.get(path)
        if file is None:
            missing = refusal(404, "EntryNotFound", "Entry not found")
            return missing.with_headers({"X-Repo-Commit": there.commit})
        location = self._location(request, there, file)
        return _redirect(302 if file.is_lfs else 307, location, there, file)

    def _location(self, request: Request, repo: HubRepo, file: HubFile) -> str:
        if file.is_lfs:
            return self._cdn.signed_url(repo.id, file.blob, file.name)
        back = quote(request.raw_path, safe="")
        place = f"{_CACHE}{repo.type}s/{repo.name}/{repo.commit}/{quote(file.path)}"
        return f"{place}?{back}=&etag=%22{file.oid}%22"

    def _cached(self, request: Request, caller: Caller) -> Answer:
        """The place where small files are: `/api/resolve-cache/{type}s/{repo}/{commit}/{path}`."""
        for repo in (each for newest in tuple(self._repos.values()) for each in newest.history()):
            start = f"{_CACHE}{repo.type}s/{repo.name}/{repo.commit}/"
            file = repo.files.get(unquote(request.raw_path.removeprefix(start)))
            if request.raw_path.startswith(start) and file is not None:
                return self._access.gate(caller, repo) or _small(request, repo, file)
        return refusal(404, "EntryNotFound", "Entry not found")


def _small(request: Request, repo: HubRepo, file: HubFile) -> Answer:
    # The real one shows JSON and HTML of strangers as text, so that no browser runs it under the Hub's name.
    kind = media_type(file.path)
    headers = {
        "Content-Type": kind if kind == "application/octet-stream" else "text/plain; charset=utf-8",
        "X-Repo-Commit": repo.commit,
        "Content-Disposition": disposition("inline", file.name),
    }
    return file_answer(request, file.blob, f'"{file.oid}"', headers)


def _redirect(status: int, location: str, repo: HubRepo, file: HubFile) -> Answer:
    text = f"{'Found' if status == 302 else 'Temporary Redirect'}. Redirecting to {location}"
    headers = {
        "Location": location,
        "X-Repo-Commit": repo.commit,
        "X-Linked-Size": str(file.blob.size),
        "X-Linked-ETag": f'"{file.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": disposition("inline", file.name),
        "Vary": "Origin, Accept",
    }
    return text_answer(status, text, headers)
