"""Asks HuggingFace's API about a repository: the commit of a revision, its files, a small file's SHA-256.

For a file in LFS the list itself has the SHA-256; of any other it has git's blob id, so its bytes are
fetched once, hashed both ways, and thrown away; and so are those of any file whose chunks are wanted. A failed request is asked again by `plan` alone, and
how much an answer may hold is bounded.

What was said before is asked for by its ETag, and a 304 says that it is so still.

Exclusions: what an answer means is `hub_answers`'s to say, and nothing is kept on disk.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from fallback import hub_answers
from fallback.chunks import rechunked, with_proofs
from fallback.errors import UnavailableError
from fallback.exchange import Request
from fallback.judging import judge
from fallback.manifest import File
from fallback.outcome import Corrupt, Delivered, Failed, Malformed
from fallback.pursuit import pursue
from fallback.state.etags import Tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.answer import Answer
    from fallback.chance import Try
    from fallback.hub_answers import Entry
    from fallback.manifest import HubRef
    from fallback.outcome import Outcome
    from fallback.pursuit import Course
    from fallback.run import Run
    from fallback.sources import HuggingFace, Source
    from fallback.state.etags import Etags
    from fallback.wanted import Wanted

T = TypeVar("T")

MAX_LIST_BYTES = 64 << 20
"""Of all pages of one list together: as large as a manifest may be. A page of the Hub has 0.3 MB."""

MAX_PAGES = 1000
MAX_INFO_BYTES = 16 << 20
"""What the Hub says of a revision lists its files, too."""

MAX_BLOB_BYTES = 256 << 20
"""A file outside LFS; the Hub itself takes none above 10 MB there."""

_JSON: Final = File("answer.json", size=None, sha256=None)
"""What `judge` is told that an answer of the API is."""


class HubApi:
    """One Hub's API, asked within one run; `etags`: what it said before, if that is of use."""

    def __init__(self, run: Run, hub: HuggingFace, etags: Etags | None = None) -> None:
        self._run, self._hub, self._etags = run, hub, etags

    def commit(self, ref: HubRef) -> str:
        """The commit that the revision stands for now.

        Raises:
            UnavailableError: the Hub does not say; with its reason.
        """
        what, request = (
            f"revision {ref.revision} of {ref.repo}",
            self._get(self._hub.api_url(ref, "revision")),
        )
        known = self.said_before(request.url)
        if known and hub_answers.GIT_ID.fullmatch(known.said):
            request = replace(request, if_none_match=known.etag)
        told = self._ask(ref, what, request, functools.partial(_commit, known=known))
        self._keep(request.url, told)
        return told.said

    def says_of(self, wanted: Wanted, like: Tagged | None = None) -> Tagged | None:
        """What the Hub says that the file is, by a HEAD; None if it is not there.

        `like`: what it said of the file elsewhere, if nothing is known of it here: 304 says the same.

        Raises:
            UnavailableError: the Hub does not say; with its reason.
        """
        ref, request = wanted.model.huggingface, self._hub.request(wanted)
        assert ref is not None, "a file of the Hub has a repository"
        assert request is not None, "and so a URL there"
        known = self.said_before(request.url) or like
        asked = replace(request, method="HEAD", if_none_match=known.etag if known else None)
        # Whatever its size is there: another one is no mistake, but another version.
        file = File(wanted.file.path, None, None)
        told = self._ask(ref, str(wanted), asked, functools.partial(_said, known=known), file=file)
        if told is not None:
            self._keep(request.url, told)
        return told

    def said_before(self, url: str) -> Tagged | None:
        """What was said at `url` in an earlier run, if that is kept."""
        return self._etags.get(url) if self._etags else None

    def _keep(self, url: str, told: Tagged) -> None:
        if self._etags:
            self._etags.put(url, told, now=self._run.clock.now())

    def tree(self, ref: HubRef) -> list[Entry]:
        """All files below the folder; `ref.revision` is a commit, so that all pages speak of the same.

        Raises:
            UnavailableError: the Hub does not say; with its reason.
        """
        folder = f"/{quote(ref.path)}" if ref.path else ""
        url: str | None = f"{self._hub.api_url(ref, 'tree')}{folder}?recursive=true&expand=false"
        found: list[Entry] = []
        seen: set[str] = set()
        left = MAX_LIST_BYTES
        while url is not None:
            seen.add(url)
            read = functools.partial(self._page, folder=ref.path, seen=seen, limit=left)
            entries, url, size = self._ask(ref, f"the list of files of {ref.repo}", self._get(url), read)
            found += entries
            left -= size
        return found

    def proven(self, wanted: Wanted, git_id: str) -> File:
        """The file with SHA-256, CID and chunks of its bytes, which the SHA-256 of LFS proves, or else git's id.

        Raises:
            UnavailableError: the Hub does not serve them; with its reason.
        """
        ref, size, request = wanted.model.huggingface, wanted.file.size, self._hub.request(wanted)
        assert ref is not None, "a file of the Hub has a repository"
        assert request is not None, "and so a URL there"
        assert size is not None, "the list has each one's size"
        if wanted.file.sha256 is None and size > MAX_BLOB_BYTES:
            reason = f"it is said to have {size} bytes outside LFS, and {MAX_BLOB_BYTES} is the most"
            raise UnavailableError(str(wanted), [(self._hub.name, reason)])
        read = functools.partial(_proven, file=wanted.file, size=size, git_id=git_id)
        return self._ask(ref, str(wanted), request, read, file=wanted.file)

    def _get(self, url: str) -> Request:
        return Request(url, token=self._hub.token)

    def _ask(
        self, ref: HubRef, what: str, request: Request, read: Callable[[Answer], T], *, file: File = _JSON
    ) -> T:
        """Follow the plan until `read` can make something of an answer."""
        run, found = self._run, list[T]()
        if run.settings.offline:
            raise UnavailableError(what, [("network", "offline is set, nothing was requested")])

        def attempt(source: Source, step: Try, course: Course[Source]) -> tuple[Try, Outcome]:  # noqa: ARG001 - there is one way to ask
            began = run.clock.now()
            outcome: Outcome = Delivered("answered")
            try:
                found.append(self._exchange(ref, request, read, file))
            except Failed as failed:
                run.check()
                outcome = failed.outcome
            run.note(source, outcome, began, None)
            return step, outcome

        pursue(run, [self._hub], attempt, whom=(ref.repo, what), what=what)
        return found[0]

    def _exchange(self, ref: HubRef, request: Request, read: Callable[[Answer], T], file: File) -> T:
        run = self._run
        rate = run.settings.last_source_min_rate_bytes_s  # nobody else could be asked
        is_told = functools.partial(hub_answers.is_told, request)
        with run.transport().open(
            request, min_rate_bytes_s=rate, ends_in_s=run.left_s(), enough=is_told
        ) as answer:
            if not is_told(answer.head):
                if (outcome := hub_answers.refusal(self._hub, ref, answer.head)) is not None:
                    raise Failed(outcome)
                judge(self._hub, request, answer.head, file, run.clock.now())
            return read(answer)

    def _page(
        self, answer: Answer, *, folder: str, seen: set[str], limit: int
    ) -> tuple[list[Entry], str | None, int]:
        """One page's files, the URL of the next one, and how many bytes it had."""
        following = hub_answers.next_page(answer.head, self._hub.endpoint)
        if following in seen:
            raise Failed(Malformed("the list of files leads in a circle: its next page was read before"))
        if following is not None and len(seen) >= MAX_PAGES:
            raise Failed(Malformed(f"the list of files has more than {MAX_PAGES} pages"))
        document, size = _json(answer, limit)
        return list(hub_answers.entries(document, folder)), following, size


def _commit(answer: Answer, *, known: Tagged | None) -> Tagged:
    if known and answer.head.status == 304:
        return known
    found = hub_answers.commit(_json(answer, MAX_INFO_BYTES)[0])
    return Tagged(answer.head.headers.get("etag", ""), found)


def _said(answer: Answer, *, known: Tagged | None) -> Tagged | None:
    if hub_answers.is_gone(answer.head):
        return None
    told = known if answer.head.status == 304 else hub_answers.says_of_file(answer.head)
    if told is None:
        raise Failed(Malformed("it does not say what the file is there: no ETag"))
    return told


def _json(answer: Answer, limit: int) -> tuple[Any, int]:
    data = b"".join(_body(answer, limit))
    try:
        return json.loads(data), len(data)
    except (ValueError, RecursionError) as error:  # ValueError: also what is not UTF-8, and int()'s limit
        raise Failed(Malformed(f"not JSON as it should be ({error})")) from None


def _proven(answer: Answer, *, file: File, size: int, git_id: str) -> File:
    """`file` with the proofs of a body of so many bytes that LFS, or else git, would call so."""
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def passed() -> Iterator[bytes]:
        for piece in _body(answer, size):
            git.update(piece)
            yield piece

    found = with_proofs(file, rechunked(passed()))
    if found.size != size:
        raise Failed(Malformed(f"{found.size} bytes where {size} were promised"))
    if file.sha256 not in {None, found.sha256}:
        raise Failed(Corrupt(f"wrong bytes: {found.sha256}, not {file.sha256}"))
    if file.sha256 is None and git.hexdigest() != git_id:
        raise Failed(Corrupt(f"wrong bytes: git's id of them is {git.hexdigest()}, not {git_id}"))
    return found


def _body(answer: Answer, limit: int) -> Iterator[bytes]:
    """The whole body; at most one byte above `limit` is read (P3)."""
    promised, seen = answer.head.content_length, 0
    if promised is not None and promised > limit:
        raise Failed(Malformed(f"the answer has {promised} bytes, and {limit} is the most"))
    for piece in answer.pieces(limit + 1):
        seen += len(piece)
        if seen > limit:
            raise Failed(Malformed(f"the answer has more than {limit} bytes"))
        yield piece
