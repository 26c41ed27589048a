"""A fake HuggingFace Hub: `resolve` with its real redirects, and the front door of its API.

Small git files are redirected (307, relative) to a cache on the same host, LFS files (302) to a signed URL of the CDN,
which is another origin. Headers are those the real client reads. Xet is never offered, no token is ever asked for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from fakes.answer import text_answer
from fakes.hub_api import HubApi
from fakes.media import media_type
from fakes.ranges import file_answer
from fakes.refusal import refusal
from fakes.repos import repos_of

if TYPE_CHECKING:
    from fakes.answer import Answer, Request
    from fakes.catalogue import Catalogue, RepoType
    from fakes.cdn import Cdn
    from fakes.repos import HubFile, HubRepo

_ALWAYS = {
    "X-Powered-By": "huggingface-moon",
    "RateLimit": '"resolvers";r=2997;t=258',
    "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
    "Access-Control-Expose-Headers": (
        "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,"
        "X-Linked-Size,X-Linked-ETag"
    ),
}
_PREFIXES: Final[dict[str, RepoType]] = {"datasets": "dataset", "spaces": "space"}
_CACHE = "/api/resolve-cache/"


class Hub:
    """The Hub's site. `page_size` is how many entries `tree` gives at once."""

    def __init__(self, catalogue: Catalogue, cdn: Cdn, url: str, *, page_size: int = 1000) -> None:
        self._repos = repos_of(catalogue)
        self._cdn = cdn
        self._api = HubApi(self._repos, url, page_size)

    def __call__(self, request: Request) -> Answer:
        """Answer as the healthy Hub does."""
        request_id = hashlib.sha256(f"{request.client} {request.raw_path}".encode()).hexdigest()[:32]
        return self._answer(request).with_headers({**_ALWAYS, "X-Request-Id": f"Root=1-{request_id}"})

    def _answer(self, request: Request) -> Answer:
        if request.raw_path.startswith(_CACHE):
            return self._cached(request)
        if request.raw_path.startswith("/api/"):
            return self._api(request)
        if request.method not in {"GET", "HEAD"}:
            return text_answer(405, "", {"Allow": "GET, HEAD"})
        where, found, rest = request.raw_path.partition("/resolve/")
        if not found:
            return refusal(404, None, "Sorry, we can't find the page you are looking for.")
        revision, _, path = rest.partition("/")
        return self._resolve(request, where.lstrip("/"), unquote(revision), unquote(path))

    def _resolve(self, request: Request, where: str, revision: str, path: str) -> Answer:
        prefix, _, name = where.partition("/")
        kind, name = (_PREFIXES[prefix], name) if prefix in _PREFIXES else ("model", where)
        repo = self._repos.get((kind, unquote(name)))
        if repo is None:
            return refusal(404, "RepoNotFound", "Repository not found")
        if revision not in repo.revisions:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        file = repo.files.get(path)
        if file is None:
            missing = refusal(404, "EntryNotFound", "Entry not found")
            return missing.with_headers({"X-Repo-Commit": repo.commit})
        location = self._location(request, repo, file)
        return _redirect(302 if file.is_lfs else 307, location, repo, file)

    def _location(self, request: Request, repo: HubRepo, file: HubFile) -> str:
        if file.is_lfs:
            return self._cdn.signed_url(repo.id, file.blob, file.path.rpartition("/")[2])
        back = quote(request.raw_path, safe="")
        place = f"{_CACHE}{repo.type}s/{repo.name}/{repo.commit}/{quote(file.path)}"
        return f"{place}?{back}=&etag=%22{file.oid}%22"

    def _cached(self, request: Request) -> Answer:
        """The place where small files are: `/api/resolve-cache/{type}s/{repo}/{commit}/{path}`."""
        for (kind, name), repo in self._repos.items():
            start = f"{_CACHE}{kind}s/{name}/{repo.commit}/"
            file = repo.files.get(unquote(request.raw_path.removeprefix(start)))
            if request.raw_path.startswith(start) and file is not None:
                headers = {
                    "Content-Type": media_type(file.path).replace(
                        "application/json", "text/plain; charset=utf-8"
                    ),
                    "X-Repo-Commit": repo.commit,
                    "Content-Disposition": _disposition(file),
                }
                return file_answer(request, file.blob, f'"{file.oid}"', headers)
        return refusal(404, "EntryNotFound", "Entry not found")


def _redirect(status: int, location: str, repo: HubRepo, file: HubFile) -> Answer:
    text = f"{'Found' if status == 302 else 'Temporary Redirect'}. Redirecting to {location}"
    headers = {
        "Location": location,
        "X-Repo-Commit": repo.commit,
        "X-Linked-Size": str(file.blob.size),
        "X-Linked-ETag": f'"{file.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": _disposition(file),
        "Vary": "Origin, Accept",
    }
    return text_answer(status, text, headers)


def _disposition(file: HubFile) -> str:
    name = file.path.rpartition("/")[2]
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{name}\";"
