"""What an answer of HuggingFace's API says: a commit, a page of files, where the next one is, an error. Pure.

What was decoded from JSON is read strictly: an answer that does not look as the Hub's do is Malformed,
and nothing is guessed. The Hub's errors are told apart by `X-Error-Code`, never by their text, and
become outcomes that say what to do. Exclusions: no request is made here (`hub_api`), and whether a
name is safe for this machine is `names`' to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from fallback.exchange import host_of, origin, usable
from fallback.manifest import MAX_SIZE_BYTES
from fallback.outcome import Failed, Malformed, NotHere, Refused
from fallback.reading import SHA256, shown
from fallback.state.etags import Tagged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fallback.exchange import Head, Request
    from fallback.manifest import HubRef
    from fallback.outcome import Outcome
    from fallback.sources import HuggingFace

SHA256_OF_LFS = "sha256:"
"""Before what a file in LFS says of itself; one outside it says git's id, and one of no Hub an ETag alone."""

GIT_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
LINK = re.compile(r"<([^<>]*)>([^<]*)")
NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?![^\s,;]))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a repository: `path` below the folder asked for, `sha256` only if it is in LFS."""

    path: str
    size: int
    git_id: str
    """Of the bytes, or of the pointer to them."""
    sha256: str | None


def commit(document: Any) -> str:
    """The commit in what the Hub says of a revision.

    Raises:
        Failed: Malformed, if it names none.
    """
    sha = document.get("sha") if isinstance(document, dict) else None
    if not isinstance(sha, str) or not GIT_ID.fullmatch(sha):
        raise Failed(Malformed("the Hub's answer names no commit"))
    return sha


def entries(document: Any, folder: str) -> Iterator[Entry]:
    """The files of a page of `tree`, all of them below `folder` ("" for the root).

    Raises:
        Failed: Malformed, if one is not understood: a list with a file missing would be believed.
    """
    if not isinstance(document, list):
        raise Failed(Malformed("the list of files is no JSON array"))
    start = f"{folder}/" if folder else ""
    for number, value in enumerate(document, 1):
        if isinstance(value, dict) and value.get("type") == "directory":
            continue
        entry = _entry(value)
        if entry is None or not entry.path.startswith(start):
            path = value.get("path") if isinstance(value, dict) else None
            which = f"{number} ({shown(path)})" if isinstance(path, str) else str(number)
            raise Failed(Malformed(f"entry {which} of the list of files is not as it should be"))
        yield replace(entry, path=entry.path.removeprefix(start))


def _entry(value: Any) -> Entry | None:
    match value:
        case {"type": "file", "path": str(path), "oid": str(git_id), "lfs": {"oid": str(oid), "size": size}}:
            sha256 = oid.lower() if SHA256.fullmatch(oid) else None
            good = sha256 is not None
        case {"type": "file", "path": str(path), "oid": str(git_id), "size": size}:
            sha256, good = None, value.get("lfs") is None
        case _:
            return None
    # Not isinstance: to Python, true is a number.
    good = good and type(size) is int and 0 <= size <= MAX_SIZE_BYTES and bool(GIT_ID.fullmatch(git_id))
    return Entry(path, size, git_id, sha256) if good else None


def is_told(request: Request, head: Head) -> bool:
    """Whether a head alone says what `request` asks: 304 to its condition, or to a HEAD what the file is, or that it is gone."""
    if head.status == 304:
        return request.if_none_match is not None
    return request.method == "HEAD" and (
        is_gone(head) or (head.location is not None and says_of_file(head) is not None)
    )


def is_gone(head: Head) -> bool:
    """Whether the repository is there at that revision, and this file is not in it."""
    return head.status == 404 and head.headers.get("x-error-code") == "EntryNotFound"


def says_of_file(head: Head) -> Tagged | None:
    """What the Hub says that a file is, before any redirect to its bytes; None if it says nothing.

    On a redirect that is `X-Linked-ETag`: the ETag of whoever has the bytes is not of the bytes.
    """
    linked = head.headers.get("x-linked-etag", "").strip()
    tag = linked or ("" if head.location else head.headers.get("etag", "").strip())
    bare = tag.removeprefix("W/").strip('"')
    if not bare:
        return None
    if linked and SHA256.fullmatch(bare):
        return Tagged(tag, f"{SHA256_OF_LFS}{bare.lower()}")
    return Tagged(tag, f"git:{bare}" if linked and GIT_ID.fullmatch(bare) else f"etag:{bare}")


def next_page(head: Head, endpoint: str) -> str | None:
    """The next page as `Link` says it, verbatim (RFC 8288); None after the last.

    Raises:
        Failed: Malformed, if it is on another origin: a token and our trust are the endpoint's (P7).
    """
    links = (match[1] for match in LINK.finditer(head.headers.get("link", "")) if NEXT.search(match[2]))
    if (following := next(links, None)) is None:
        return None
    try:
        url: str = following if usable(following) else urljoin(head.url, following)
    except ValueError:
        url = ""
    if not usable(url):
        raise Failed(Malformed("the next page of the list of files is no http or https URL"))
    if origin(url) != origin(endpoint):
        where = f"the next page of the list of files is at another host, {host_of(url)}"
        raise Failed(Malformed(f"{where}, which is not asked: set hf_endpoint to the one you mean"))
    return url


def refusal(hub: HuggingFace, ref: HubRef, head: Head) -> Outcome | None:
    """What an error in the Hub's own words says to do; None: in no words of its own (`sources.judge`)."""
    if origin(head.url) != origin(hub.endpoint):
        return None
    stranger = hub.token is None
    or_token = ", or set HF_TOKEN" if stranger else ""
    missing = f"there is no {ref.repo_type} repository {ref.repo}, or it is private ({head.status})"
    check = f"{missing}: check its name and whether it is a model or a dataset{or_token}"
    match head.status, head.headers.get("x-error-code", ""):
        case ((401 | 403), "GatedRepo"):
            page = f"{hub.endpoint}/{'datasets/' if ref.repo_type == 'dataset' else ''}{ref.repo}"
            then = "set HF_TOKEN" if stranger else "let HF_TOKEN be a token of whoever was let in"
            return Refused(f"{ref.repo} is gated ({head.status}): ask for access at {page}, and {then}")
        case 401, "" if stranger:  # what the Hub says to a stranger of a repository that is not there
            return Refused(check)
        case ((401 | 404), "RepoNotFound"):
            return NotHere(check)
        case 404, "RevisionNotFound":
            return NotHere(f"{ref.repo} has no revision {shown(ref.revision)} (404): check the revision")
        case 404, "EntryNotFound" if ref.path:
            return NotHere(f"{ref.repo} has nothing at {shown(ref.path)} there (404): check the path")
        case 403, _ if said := head.headers.get("x-error-message"):
            return Refused(f"HuggingFace refuses it (403) and says {shown(said)}; a token is set by HF_TOKEN")
        case _:
            return None
