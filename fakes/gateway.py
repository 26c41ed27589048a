"""A fake IPFS gateway: `/ipfs/{cid}/{path}` for whatever is in a blockstore.

Any root will do whose blocks are there: a model's folder, one of its files, what somebody pinned. Headers and statuses
are those of the gateway specifications and of boxo. Blocks and CARs are `fakes.trustless`'s; `/ipns/`, and blocks of other
codecs than raw and dag-pb, are not played: their CIDs get a 400.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, quote, unquote, unquote_to_bytes, urlsplit

from fakes.answer import Answer
from fakes.dag import FOLDERS, Dag, DagFile, NoLinkError
from fakes.forms import NonsenseError, wanted
from fakes.listing import listing
from fakes.media import disposition, media_type
from fakes.pages import moved, said
from fakes.ranges import file_answer
from fakes.trustless import block_answer
from fallback.ipfs.car import MissingBlockError
from fallback.ipfs.cid import Cid, CidError
from fallback.ipfs.reading import DagError
from fallback.ipfs.unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request
    from fakes.blockstore import Blockstore
    from fakes.dag import Found

Mode = Literal["path", "subdomain", "trustless"]
"""path: as asked. subdomain: 301 to a host of the CID's own, then as asked. trustless: no files, blocks alone."""

_LABEL = 63  # characters of a DNS label at most (RFC 1035 section 2.3.4)
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
    """One gateway's site: call it with a request, get the answer. `url` is its own, for redirects to a subdomain.

    `cap` is the size (bytes) over which it gives no file but as blocks (boxo's MaxDeserializedResponseSize).
    """

    def __init__(
        self,
        blocks: Blockstore,
        url: str = "http://127.0.0.1",
        *,
        mode: Mode = "path",
        cap: int | None = None,
    ) -> None:
        self._dag = Dag(blocks)
        self._url, self._mode, self._cap = urlsplit(url), mode, cap

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy gateway does."""
        return self._answer(request).with_headers(_CORS)

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(204, (("Allow", _METHODS),))
        if request.method not in {"GET", "HEAD"}:
            return said(request, 405, f"method {request.method} not allowed", {"Allow": _METHODS})
        if not _ESCAPES.fullmatch(request.raw_path):
            return said(request, 400, f'invalid URL escape in "{request.raw_path}"')
        host = self._mode == "subdomain" and _SUBDOMAIN.fullmatch(request.header("host") or "")
        # A subdomain's path is what stands below its CID.
        asked = f"/ipfs/{host[1]}{request.raw_path}" if host else request.raw_path
        parts = [unquote(part, errors="surrogateescape") for part in asked.split("/")[1:]]
        if parts[0] != "ipfs" or len(parts) < 2:
            return said(request, 404, "404 page not found")
        try:
            root = Cid.parse(parts[1])
        except CidError as error:
            return said(request, 400, f'invalid path "{unquote(asked)}": invalid cid: {error}')
        names = [part for part in parts[2:] if part]
        if request.header("service-worker") == "script" and not names:
            return said(request, 400, "no service worker may have all of a CID for its scope")
        if self._mode == "subdomain" and not host:
            return self._to_subdomain(request, root)
        return self._resolved(request, asked, root, names)

    def _resolved(self, request: Request, asked: str, root: Cid, names: list[str]) -> Answer:
        """What stands at the end of the path, or why nothing does."""
        failed = f"failed to resolve {unquote(asked)}"
        try:
            return self._content(request, asked, self._dag.find(root, names))
        except NoLinkError as error:
            return said(request, 404, f"{failed}: {error}")
        except MissingBlockError as error:
            if "only-if-cached" in (request.header("cache-control") or ""):
                return said(request, 412, f"{unquote(asked)} is not here")
            return said(request, 404, f"{failed}: could not find node {error.cid}")
        except NonsenseError as error:
            return said(request, 400, str(error))
        except DagError as error:
            return said(request, 500, f"{failed}: {error}")

    def _to_subdomain(self, request: Request, cid: Cid) -> Answer:
        """301 to the CID's own host, which is its own origin; a name that is too long for that is refused."""
        label = str(dataclasses.replace(cid, version=1))
        if len(label) > _LABEL:
            return said(request, 400, f"CID incompatible with DNS label length limit of {_LABEL}: {label}")
        rest = "/" + "/".join(request.raw_path.split("/")[3:])
        # An address has no subdomains, and every one of localhost is loopback (RFC 6761 section 6.3).
        port = f":{self._url.port}" if self._url.port else ""
        return moved(request, f"{self._url.scheme}://{label}.ipfs.localhost{port}{rest}")

    def _content(self, request: Request, asked: str, found: Found) -> Answer:
        node = self._dag.node(found.cid)
        form = wanted(request)
        headers = {"X-Ipfs-Path": asked, "X-Ipfs-Roots": ",".join(map(str, found.cids))}
        if form is not None:
            return block_answer(request, self._dag, found, form, headers)
        if self._mode == "trustless":
            text = "only trustless requests are accepted on this gateway: ask for format=raw or format=car"
            return said(request, 406, text)
        if node.entry.kind not in FOLDERS:
            return self._file(request, found, headers)
        if not request.raw_path.endswith("/"):
            return moved(request, quote(unquote_to_bytes(request.raw_path)) + "/")
        return listing(request, self._dag, found.cid, headers)

    def _file(self, request: Request, found: Found, headers: Mapping[str, str]) -> Answer:
        file = DagFile(self._dag, found.cid)
        name = unquote(request.raw_path.rpartition("/")[2]) if len(found.cids) > 1 else ""
        if not name and len(found.cids) > 1:  # a slash at its end says that it is a folder
            return said(request, 404, f'failed to resolve {request.path}: no link named "" under {found.cid}')
        if self._cap is not None and file.size > self._cap:
            refusal = {"Cache-Control": "public, max-age=604800"}
            return said(request, 410, f"a file of {file.size} bytes is too large to be given whole", refusal)
        headers = {**headers, **_named(request, name), "Cache-Control": _IMMUTABLE}
        if self._dag.node(found.cid).entry.kind is Kind.SYMLINK:
            headers["Content-Type"] = "inode/symlink"
        return file_answer(request, file, f'"{found.cid}"', headers, malformed="refuse")


def _named(request: Request, name: str) -> dict[str, str]:
    """What a file's name, or the one in the query, says of it."""
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    told = query.get("filename")
    headers = {"Content-Type": media_type(told or name)}
    if told or query.get("download") == "true":
        kind: Literal["attachment", "inline"] = "attachment" if query.get("download") == "true" else "inline"
        headers["Content-Disposition"] = disposition(kind, told or name or "file")
    return headers
