"""A fake of the Hub's CDN: signed URLs on an origin of its own, valid for a while, then 403.

The ETag is a storage hash that is not the SHA-256 of the bytes, as on the real one.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from fakes.answer import text_answer
from fakes.media import disposition
from fakes.ranges import file_answer

if TYPE_CHECKING:
    from fakes.answer import Answer, Request
    from fakes.catalogue import Catalogue
    from fakes.content import Blob

_KEY = b"fakes: no secret is kept here"


class Cdn:
    """The CDN's site, and the one who signs its URLs."""

    def __init__(self, catalogue: Catalogue, url: str, *, ttl_s: float = 3600) -> None:
        self._url, self._ttl_s = url, ttl_s
        self._blobs = {storage_hash(blob): blob for blob in catalogue.blobs()}

    def add(self, blob: Blob) -> None:
        """Have these bytes, too."""
        self._blobs[storage_hash(blob)] = blob

    def signed_url(self, repo_id: str, blob: Blob, filename: str) -> str:
        """A URL for these bytes that is good for the next `ttl_s` seconds, to a tenth."""
        path = f"/xet-bridge-us/{repo_id}/{storage_hash(blob)}"
        expires = f"{time.time() + self._ttl_s:.1f}"
        shown = quote(disposition("inline", filename), safe="")
        query = f"response-content-disposition={shown}&Expires={expires}"
        return f"{self._url}{path}?{query}&Signature={_sign(path, query)}&Key-Pair-Id=FAKE"

    def __call__(self, request: Request) -> Answer:
        """The bytes, if the signature is right and in time."""
        if request.method not in {"GET", "HEAD"}:
            return text_answer(405, "", {"Allow": "GET, HEAD"})
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        # Whatever comes after the signature (a redirect's own count, say) is nobody's business.
        signed = request.query.partition("&Signature=")[0]
        if query.get("Signature", "") != _sign(request.path, signed):
            return _denied("AccessDenied", "The signature does not match")
        if time.time() > float(query["Expires"]):
            return expired()
        blob = self._blobs.get(request.path.rpartition("/")[2])
        if blob is None:
            return _denied("NoSuchKey", "The specified key does not exist.")
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": query.get("response-content-disposition", "inline"),
            "Cache-Control": "public, max-age=31536000",
            "X-Cache": "Hit from fake",
        }
        return file_answer(request, blob, f'"{storage_hash(blob)}"', headers)


def storage_hash(blob: Blob) -> str:
    """The name under which the CDN keeps a blob: 64 hex digits that are not its SHA-256."""
    return hashlib.sha256(f"storage of {blob.sha256}".encode()).hexdigest()


def expired() -> Answer:
    """What a signed URL gets when its time is over."""
    return _denied("AccessDenied", "Request has expired")


def _sign(path: str, query: str) -> str:
    return hmac.new(_KEY, f"{path}?{query}".encode(), hashlib.sha256).hexdigest()


def _denied(code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return text_answer(403, body, content_type="application/xml")
