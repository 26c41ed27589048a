"""What an answer of HuggingFace said, under the ETag that it said it by: what `If-None-Match` is made of.

Exclusions: nothing is asked here (`hub_api`), and no file's bytes are proven by an ETag. A row that
cannot be read is as good as none: the question is asked without a condition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fallback.state.db import Database

TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,512}"', re.ASCII)
"""RFC 9110, 8.8.3, less obs-text: what is sent back must not be able to break a header."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """`etag` as it was sent, and what the answer under it `said`: a commit, or whose bytes a file has."""

    etag: str
    said: str


class Etags:
    """The table `etags`, by URL. No URL of it has a query or a credential."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, url: str) -> Tagged | None:
        """What was said at `url`, if that is known."""
        for etag, said in self._db.execute("SELECT etag, said FROM etags WHERE url = ?", (url,)):
            if isinstance(etag, str) and isinstance(said, str) and TAG.fullmatch(etag):
                return Tagged(etag, said)
        return None

    def put(self, url: str, tagged: Tagged, *, now: float) -> None:
        """Remember it; of an ETag that is none, nothing is."""
        if TAG.fullmatch(tagged.etag):
            self._db.execute(
                "INSERT OR REPLACE INTO etags (url, etag, said, seen_at) VALUES (?, ?, ?, ?)",
                (url, tagged.etag, tagged.said, now),
            )

    def prune(self, before: float) -> None:
        """Forget what was last said before that."""
        self._db.execute("DELETE FROM etags WHERE seen_at < ?", (before,))
