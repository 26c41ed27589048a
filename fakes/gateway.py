"""A fake IPFS gateway: `/ipfs/{cid}/{path}` for the files and folders of a catalogue.

Headers and statuses are those of the gateway specifications and of boxo. CIDs are opaque names here: no DAG, and of
blocks and CARs only the empty ones (`fakes.trustless`). `/ipns/` is not played.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from fakes.answer import Answer, text_answer
from fakes.catalogue import placeholder_cid
from fakes.cids import IDENTITY, LABEL, as_label, is_cid
from fakes.listing import is_folder, listing
from fakes.media import disposition, media_type
from fakes.ranges import file_answer
from fakes.trustless import block_answer, wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request
    from fakes.catalogue import Catalogue, Model

Mode = Literal["path", "subdomain", "trustless"]
"""path: as asked. subdomain: 301 to a host of the CID's own, then as asked. trustless: no files, blocks alone."""

_METHODS = "GET, HEAD, OPTIONS"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": (
        "Content-Length, Content-Range, X-Chunked-Output, X-Stream-Output, X-Ipfs-Path, X-Ipfs-Roots"
    ),
}
_IMMUTABLE = "public, max-age=29030400, immutable"
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_SUBDOMAIN = re.compile(r"([^.]+)\.ipfs\.[^/]+")


class Gateway:
    """One gateway's site: call it with a request, get the answer. `url` is its own, for redirects to a subdomain."""

    def __init__(self, catalogue: Catalogue, url: str = "http://127.0.0.1", *, mode: Mode = "path") -> None:
        self._models = {model.cid: model for model in catalogue.models.values()}
        self._url, self._mode = urlsplit(url), mode

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy gateway does."""
        return self._answer(request).with_headers(_CORS)

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(204, (("Allow", _METHODS),))
        if request.method not in {"GET", "HEAD"}:
            return _said(request, 405, f"method {request.method} not allowed", {"Allow": _METHODS})
        if not _ESCAPES.fullmatch(request.raw_path):
            return _said(request, 400, f'invalid URL escape in "{request.raw_path}"')
        host = self._mode == "subdomain" and _SUBDOMAIN.fullmatch(request.header("host") or "")
        # A subdomain's path is what stands below its CID.
        asked = f"/ipfs/{host[1]}{request.raw_path}" if host else request.raw_path
        parts = [unquote(part) for part in asked.split("/")[1:]]
        if parts[0] != "ipfs" or len(parts) < 2:
            return _said(request, 404, "404 page not found")
        cid, path = parts[1], "/".join(parts[2:])
        if not is_cid(cid):
            return _said(request, 400, f'invalid path "{unquote(asked)}": invalid cid: {cid!r}')
        if request.header("service-worker") == "script" and not path:
            return _said(request, 400, "no service worker may have all of a CID for its scope")
        if self._mode == "subdomain" and not host:
            return self._to_subdomain(request, cid)
        return self._content(request, asked, cid, path)

    def _to_subdomain(self, request: Request, cid: str) -> Answer:
        """301 to the CID's own host, which is its own origin; a name that is too long for that is refused."""
        label = as_label(cid)
        if len(label) > LABEL:
            return _said(request, 400, f"CID incompatible with DNS label length limit of {LABEL}: {label}")
        rest = "/" + "/".join(request.raw_path.split("/")[3:])
        # An address has no subdomains, and every one of localhost is loopback (RFC 6761 section 6.3).
        port = f":{self._url.port}" if self._url.port else ""
        return _moved(request, f"{self._url.scheme}://{label}.ipfs.localhost{port}{rest}")

    def _content(self, request: Request, asked: str, cid: str, path: str) -> Answer:
        model = self._models.get(cid)
        if model is None and cid != IDENTITY:
            if "only-if-cached" in (request.header("cache-control") or ""):
                return _said(request, 412, f"{unquote(asked)} is not here")
            return _said(request, 404, f"failed to resolve {unquote(asked)}: could not find node {cid}")
        form = wanted(request)
        if form is not None:
            return block_answer(request, cid, form)
        if self._mode == "trustless":
            text = "only trustless requests are accepted on this gateway: ask for format=raw or format=car"
            return _said(request, 406, text)
        if model is None:
            headers = {"ETag": f'"{IDENTITY}"', "X-Ipfs-Path": asked, "X-Ipfs-Roots": IDENTITY}
            return text_answer(200, "", {"Cache-Control": _IMMUTABLE, **headers})
        return _found(request, asked, model, path)


def _found(request: Request, asked: str, model: Model, path: str) -> Answer:
    """A file or a folder of a model; a folder is asked for with a slash at its end."""
    headers = {"X-Ipfs-Path": asked, "X-Ipfs-Roots": ",".join(_roots(model, path.rstrip("/")))}
    if path in model.files:
        return _file(request, model, path, headers)
    if not is_folder(model, path):
        missing = posixpath.basename(path)
        text = f'failed to resolve {unquote(asked)}: no link named "{missing}" under {model.cid}'
        return _said(request, 404, text)
    if not request.raw_path.endswith("/"):
        return _moved(request, quote(unquote(request.raw_path)) + "/")
    return listing(request, model, path, headers["X-Ipfs-Roots"].rpartition(",")[2], headers)


def _file(request: Request, model: Model, path: str, headers: Mapping[str, str]) -> Answer:
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    name = query.get("filename")
    headers = {**headers, "Content-Type": media_type(name or path), "Cache-Control": _IMMUTABLE}
    if name or query.get("download") == "true":
        kind: Literal["attachment", "inline"] = "attachment" if query.get("download") == "true" else "inline"
        headers["Content-Disposition"] = disposition(kind, name or posixpath.basename(path))
    blob = model.files[path]
    return file_answer(request, blob, f'"{_file_cid(model, path)}"', headers, malformed="refuse")


def _file_cid(model: Model, path: str) -> str:
    return placeholder_cid(f"file {model.files[path].sha256}")


def _roots(model: Model, path: str) -> list[str]:
    """One CID for each segment of the path: the root, the folders on the way, the file or folder itself."""
    segments = path.split("/") if path else []
    paths = ["/".join(segments[:depth]) for depth in range(1, len(segments) + 1)]
    cids = [
        _file_cid(model, below) if below in model.files else placeholder_cid(f"folder {model.cid} {below}")
        for below in paths
    ]
    return [model.cid, *cids]


def _moved(request: Request, location: str) -> Answer:
    """301, the query kept; of a GET with a line of HTML, as Go's http.Redirect writes it."""
    target = location + (f"?{request.query}" if request.query else "")
    page = f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n'
    return text_answer(301, page, {"Location": target}, content_type="text/html; charset=utf-8")


def _said(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in plain text, or as a page for who wants HTML."""
    if "text/html" not in (request.header("accept") or ""):
        return text_answer(status, f"{text}\n", headers)
    page = f"<!DOCTYPE html>\n<title>{status}</title>\n<p>{html.escape(text)}</p>\n"
    return text_answer(status, page, headers, content_type="text/html; charset=utf-8")
