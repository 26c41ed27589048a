"""A fake peer: another machine of the network that shares its files, `/files/sha256/{sha256}`.

Written from what the README says of a peer, and not from the engine's server: single ranges, a strong ETag that is the
digest, 404 for what is not there. One that has a part of a file is played by the faults "short-range" and "status".
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from fakes.answer import json_answer
from fakes.ranges import file_answer

if TYPE_CHECKING:
    from fakes.answer import Answer, Request
    from fakes.catalogue import Catalogue

_FOLDER = "/files/sha256/"


class Peer:
    """One peer's site; with `token` only who brings it (as Bearer) gets a file."""

    def __init__(self, catalogue: Catalogue, *, token: str | None = None) -> None:
        self._blobs = {blob.sha256: blob for blob in catalogue.blobs()}
        self._token = token

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy peer does."""
        if request.method not in {"GET", "HEAD"}:
            return json_answer(405, {"error": "method not allowed"}, {"Allow": "GET, HEAD"})
        if self._token is not None and not self._admits(request.header("authorization") or ""):
            return json_answer(401, {"error": "a token is needed"}, {"WWW-Authenticate": "Bearer"})
        sha256 = request.path.removeprefix(_FOLDER)
        blob = self._blobs.get(sha256) if request.path.startswith(_FOLDER) else None
        if blob is None:
            return json_answer(404, {"error": "there is no such file"})
        headers = {"Content-Type": "application/octet-stream"}
        return file_answer(request, blob, f'"{sha256}"', headers)

    def _admits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())
