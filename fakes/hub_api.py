"""The fake Hub's API, as much as its own client asks: info, `tree` in pages, `refs`, `commits`, `paths-info`, whoami.

What a repository holds is public, also where its files are behind a gate. Discussions, uploads and search are not played.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from fakes import hub_documents as documents
from fakes.access import Caller, unknown_token, whoami
from fakes.answer import Answer, json_answer
from fakes.ranges import tag_matches
from fakes.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.access import Access
    from fakes.answer import Request
    from fakes.catalogue import RepoType
    from fakes.repos import HubRepo

_KINDS: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_EXPANDED_PAGE = 50  # entries of a tree with expand=true, at most


class HubApi:
    """Everything under `/api/` but the cache of small files."""

    def __init__(
        self,
        repos: Mapping[tuple[RepoType, str], HubRepo],
        url: str,
        page_size: int,
        access: Access,
    ) -> None:
        self._repos, self._url, self._page_size, self._access = repos, url, page_size, access

    def __call__(self, request: Request, caller: Caller) -> Answer:
        """Route by hand: a repository's name has one segment or two."""
        parts = [unquote(part) for part in request.raw_path.split("/")[2:]]
        if parts == ["whoami-v2"]:
            return whoami(caller)
        kind = _KINDS.get(parts[0])
        if kind is None:
            return refusal(404, None, "Not Found")
        names = {length: "/".join(parts[1 : 1 + length]) for length in (2, 1)}
        for length, name in names.items():
            repo = self._repos.get((kind, name))
            if repo is not None:
                if caller is Caller.GARBAGE:
                    return unknown_token()
                return self._answer(request, repo, [part for part in parts[1 + length :] if part])
        old = next((name for name in names.values() if name in self._access.renamed), names[2])
        return self._access.missing(request, caller, old)

    def _answer(self, request: Request, repo: HubRepo, rest: list[str]) -> Answer:
        action, revision, *path = [*rest, *("", "main")[len(rest) :]]
        if action == "refs":
            return json_answer(200, documents.refs(repo))
        if action not in {"", "revision", "tree", "commits", "paths-info"}:
            return refusal(404, None, "Not Found")
        there = repo.at(revision)
        if there is None:
            return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if action == "tree":
            return self._tree(request, there, revision, "/".join(path))
        if action == "paths-info":
            return _paths_info(request, there)
        if action == "commits":
            history = documents.commits(there)
            return json_answer(200, history, {"X-Total-Count": str(len(history))})
        blobs = _is_true(parse_qs(request.query).get("blobs", [""])[-1])
        info = documents.info(there, blobs=blobs, gated=repo.name in self._access.gated)
        return _tagged(request, json_answer(200, info), info)

    def _tree(self, request: Request, repo: HubRepo, revision: str, folder: str) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        expand = _is_true(query.get("expand"))
        entries = documents.entries(repo, folder, recursive=_is_true(query.get("recursive")), expand=expand)
        if folder and not entries:
            return refusal(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")
        numbers = query.get("limit", str(self._page_size)), query.get("cursor", "0")
        if not all(number.isdecimal() and len(number) < 20 for number in numbers):
            return refusal(400, None, "limit and cursor are numbers")
        most = min(self._page_size, _EXPANDED_PAGE) if expand else self._page_size
        limit, start = max(1, min(most, int(numbers[0]))), int(numbers[1])
        headers = {"X-Repo-Commit": repo.commit}
        if start + limit < len(entries):
            kept = [f"{name}={quote(value)}" for name, value in query.items() if name != "cursor"]
            following = f"{self._url}{request.raw_path}?{'&'.join([*kept, f'cursor={start + limit}'])}"
            headers["Link"] = f'<{following}>; rel="next"'
        return json_answer(200, entries[start : start + limit], headers)


def _tagged(request: Request, answer: Answer, document: Any) -> Answer:
    """The answer under a weak ETag, as Express gives one to what it sends; 304 to who has it."""
    digest = hashlib.sha1(json.dumps(document).encode(), usedforsecurity=False).hexdigest()
    tag = {"ETag": f'W/"{digest}"'}
    if tag_matches(request.header("if-none-match"), tag["ETag"]):
        return Answer(304, tuple(tag.items()))
    return answer.with_headers(tag)


def _paths_info(request: Request, repo: HubRepo) -> Answer:
    if request.method != "POST":
        return json_answer(405, {"error": "Method Not Allowed"}, {"Allow": "POST"})
    form = parse_qs(bytes(request.body).decode(errors="replace"))
    expand = _is_true(form.get("expand", [""])[-1])
    known = {entry["path"]: entry for entry in documents.entries(repo, "", recursive=True, expand=expand)}
    return json_answer(200, [known[path] for path in form.get("paths", []) if path in known])


def _is_true(value: str | None) -> bool:
    """Clients before 1.0 spell it as Python does: True."""
    return (value or "").lower() in {"true", "1"}
