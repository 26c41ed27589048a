"""A fake IPFS path gateway: `/ipfs/{cid}/{path}` for the files of a catalogue.

Headers and statuses are those of the path-gateway specification and of boxo. CIDs are opaque names here: no DAG, no raw
blocks, no CAR, no directory listing (501 says so).
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fakes.answer import Answer, text_answer
from fakes.catalogue import placeholder_cid
from fakes.media import media_type
from fakes.ranges import file_answer

if TYPE_CHECKING:
    from fakes.answer import Request
    from fakes.catalogue import Catalogue, Model

_METHODS = "GET, HEAD, OPTIONS"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": (
        "Content-Length, Content-Range, X-Chunked-Output, X-Stream-Output, X-Ipfs-Path, X-Ipfs-Roots"
    ),
}
# CIDv0; CIDv1 in base32 (either case), base58btc, base36. An alphabet is all that an opaque name can be held to.
_CID = re.compile(
    r"Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{7,}|B[A-Z2-7]{7,}|z[1-9A-HJ-NP-Za-km-z]{7,}|k[0-9a-z]{7,}"
)


class Gateway:
    """One gateway's site: call it with a request, get the answer. Holds no state."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._models = {model.cid: model for model in catalogue.models.values()}

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy gateway does."""
        answer = self._answer(request)
        return answer.with_headers(_CORS)

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(204, (("Allow", _METHODS),))
        if request.method not in {"GET", "HEAD"}:
            return text_answer(405, f"method {request.method} not allowed\n", {"Allow": _METHODS})
        parts = [unquote(part) for part in request.raw_path.split("/")[1:]]
        if parts[0] != "ipfs" or len(parts) < 2:
            return text_answer(404, "404 page not found\n")
        cid, path = parts[1], "/".join(parts[2:])
        if not _CID.fullmatch(cid):
            return text_answer(400, f'invalid path "{request.path}": invalid cid: {cid!r}\n')
        model = self._models.get(cid)
        if model is None:
            return text_answer(404, f"failed to resolve {request.path}: could not find node {cid}\n")
        return _file(request, model, path)


def _file(request: Request, model: Model, path: str) -> Answer:
    if _is_folder(model, path):
        return text_answer(501, "this fake lists no directories\n")
    blob = model.files.get(path)
    if blob is None:
        missing = posixpath.basename(path)
        return text_answer(
            404, f'failed to resolve {request.path}: no link named "{missing}" under {model.cid}\n'
        )
    headers = {
        "Content-Type": media_type(path),
        "Cache-Control": "public, max-age=29030400, immutable",
        "X-Ipfs-Path": request.raw_path,
        "X-Ipfs-Roots": ",".join(_roots(model, path)),
    }
    etag = f'"{placeholder_cid(f"file {blob.sha256}")}"'
    return file_answer(request, blob, etag, headers, malformed="refuse")


def _is_folder(model: Model, path: str) -> bool:
    folder = path.rstrip("/")
    return not folder or any(name.startswith(f"{folder}/") for name in model.files)


def _roots(model: Model, path: str) -> list[str]:
    """One CID for each segment of the path: the root, the folders on the way, the file."""
    segments = path.split("/")
    folders = [
        placeholder_cid(f"folder {model.cid} {'/'.join(segments[:depth])}")
        for depth in range(1, len(segments))
    ]
    return [model.cid, *folders, placeholder_cid(f"file {model.files[path].sha256}")]
