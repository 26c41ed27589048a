"""What a gateway gives to those who prove every block themselves (ipfs/specs, trustless-gateway).

So far that is the probe alone: `/ipfs/bafkqaaa?format=raw` and `?format=car`, and the refusals of nonsense in the
parameters. CIDs are opaque names here, so no other block exists, and 501 says so.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from fakes.answer import Answer, text_answer
from fakes.cids import IDENTITY
from fakes.ranges import tag_matches

if TYPE_CHECKING:
    from fakes.answer import Request

RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
_OTHERS = {"tar", "dag-json", "dag-cbor", "json", "cbor", "ipns-record"}
_BYTES = r"-?\d+:(-?\d+|\*)"
_PARAMETERS = {
    "car-version": "1",
    "car-order": "dfs|unk",
    "car-dups": "y|n",
    "dag-scope": "block|entity|all",
    "entity-bytes": _BYTES,
}
# CARv1: a varint of the header's length, and the header in DAG-CBOR: {"roots": [bafkqaaa], "version": 1}.
_EMPTY_CAR = b"\x19\xa2\x65roots\x81\xd8\x2a\x45\x00\x01\x55\x00\x00\x67version\x01"  # 42 is the tag of a CID, 0 its multibase


@dataclass(frozen=True)
class Wanted:
    """A format that a request names: in its URL, or (`by_accept`) in its Accept header alone."""

    kind: str
    by_accept: bool


def wanted(request: Request) -> Wanted | None:
    """The format that is asked for, None for the file itself; the URL's word beats Accept (IPIP-523)."""
    named = parse_qs(request.query).get("format")
    if named:
        return Wanted(named[-1], by_accept=False)
    accepted = [part.partition(";")[0].strip() for part in (request.header("accept") or "").split(",")]
    kinds = {RAW: "raw", CAR: "car"}
    return next((Wanted(kinds[media], by_accept=True) for media in accepted if media in kinds), None)


def block_answer(request: Request, cid: str, form: Wanted) -> Answer:
    """The answer to who wants blocks and not a file."""
    if form.kind in _OTHERS:
        return text_answer(406, f"format {form.kind} is not to be had here\n")
    if form.kind not in {"raw", "car"}:
        return text_answer(400, f"unsupported format {form.kind!r}\n")
    nonsense = _nonsense(request) if form.kind == "car" else None
    if nonsense:
        return text_answer(400, f"invalid {nonsense} parameter\n")
    if cid != IDENTITY:
        return text_answer(501, f"this fake has no blocks: {cid} is a name here, and the hash of nothing\n")
    answer = _raw(request) if form.kind == "raw" else _car(request)
    located = {"Content-Location": f"/ipfs/{cid}?format={form.kind}"} if form.by_accept else {}
    return answer.with_headers({"X-Content-Type-Options": "nosniff", **located})


def _nonsense(request: Request) -> str | None:
    """The first parameter of a CAR with a value that it cannot have."""
    query = parse_qs(request.query, keep_blank_values=True)
    accept = re.search(rf"{re.escape(CAR)}[^,]*;\s*version=([^;,\s]*)", request.header("accept") or "")
    if accept and "car-version" not in query:
        query["car-version"] = [accept[1]]
    told = {name: query[name][-1] for name in _PARAMETERS if name in query}
    return next((name for name, value in told.items() if not re.fullmatch(_PARAMETERS[name], value)), None)


def _raw(request: Request) -> Answer:
    return _proven(request, f'"{IDENTITY}.raw"', b"", {"Content-Type": RAW, "Accept-Ranges": "bytes"}, "bin")


def _car(request: Request) -> Answer:
    """Chunked, as boxo sends every CAR: it learns the length only on the way."""
    asked = "&".join(
        sorted(part for part in request.query.split("&") if part.startswith(("car-", "dag-", "entity-")))
    )
    etag = f'W/"{IDENTITY}.car.{hashlib.sha256(asked.encode()).hexdigest()[:13]}"'
    kind = f"{CAR}; version=1; order=dfs; dups=n"
    answer = _proven(request, etag, _EMPTY_CAR, {"Content-Type": kind, "Accept-Ranges": "none"}, "car")
    return answer if answer.status == 304 else answer.chunked()


def _proven(request: Request, etag: str, data: bytes, headers: dict[str, str], ending: str) -> Answer:
    headers = {
        **headers,
        "ETag": etag,
        "Cache-Control": "public, max-age=29030400, immutable",
        "Content-Disposition": f'attachment; filename="{IDENTITY}.{ending}"',
        "X-Ipfs-Path": f"/ipfs/{IDENTITY}",
        "X-Ipfs-Roots": IDENTITY,
    }
    if tag_matches(request.header("if-none-match"), etag):
        return Answer(304, tuple(headers.items()))
    headers["Content-Length"] = str(len(data))
    return Answer(200, tuple(headers.items()), body=(data,), length=len(data))
