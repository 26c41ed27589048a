"""What a gateway gives to those who prove every block themselves: a block, or many as a CAR (ipfs/specs, trustless-gateway).

A CAR is chunked, as boxo sends it, which learns on the way what there is. Where a block is missing, it ends there, and a
trailer says so: the status was 200 by then, and proves nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from fakes.answer import Answer, text_answer
from fakes.dag import FOLDERS
from fakes.forms import CAR, OTHERS, RAW
from fakes.media import disposition
from fakes.ranges import file_answer, tag_matches
from fakes.selection import selected
from fakes.steps import Trailer, chunked, pieces
from fallback.ipfs import car
from fallback.ipfs.reading import DagError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fakes.answer import Request
    from fakes.dag import Dag, Found
    from fakes.forms import Wanted
    from fakes.steps import Step

_PROVEN = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=29030400, immutable",
}


def block_answer(
    request: Request, dag: Dag, found: Found, form: Wanted, headers: Mapping[str, str]
) -> Answer:
    """The answer to who wants blocks and not a file; `headers` say where the path led."""
    if form.kind in OTHERS:
        return text_answer(406, f"format {form.kind} is not to be had here\n")
    if form.kind not in {"raw", "car"}:
        return text_answer(400, f"unsupported format {form.kind!r}\n")
    headers = {**headers, **_PROVEN}
    if form.added:
        headers["Content-Location"] = (
            f"{request.raw_path}?{'&'.join(filter(None, (request.query, form.added)))}"
        )
    return (_raw if form.kind == "raw" else _car)(request, dag, found, form, headers)


@dataclass(frozen=True)
class _Block:
    """A block, as `fakes.ranges` serves one."""

    data: memoryview

    @property
    def size(self) -> int:
        return len(self.data)

    def steps(self, start: int, stop: int) -> Iterator[Step]:
        return pieces(self.data[start:stop])


def _raw(request: Request, dag: Dag, found: Found, _form: Wanted, headers: dict[str, str]) -> Answer:
    block = _Block(memoryview(dag.blocks.view(found.cid)))
    headers |= {"Content-Type": RAW, "Content-Disposition": _attached(request, f"{found.cid}.bin")}
    return file_answer(request, block, f'"{found.cid}.raw"', headers, malformed="refuse")


def _car(request: Request, dag: Dag, found: Found, form: Wanted, headers: dict[str, str]) -> Answer:
    part = None
    if form.span and dag.node(found.cid).entry.kind not in FOLDERS:
        part = form.span.within(dag.size(found.cid))
    root, last = found.cids[0], unquote(request.raw_path.rstrip("/").rpartition("/")[2])
    name = f"{root}_{last}" if len(found.cids) > 1 else str(root)
    asked = f"{request.raw_path} {form.scope} {form.dups} {form.span}"
    etag = f'W/"{root}.car.{hashlib.sha256(asked.encode()).hexdigest()[:13]}"'
    headers |= {
        "ETag": etag,
        "Content-Type": f"{CAR}; version=1; order=dfs; dups={form.dups}",
        "Content-Disposition": _attached(request, f"{name}.car"),
        "Accept-Ranges": "none",
    }
    if tag_matches(request.header("if-none-match"), etag):
        return Answer(304, tuple(headers.items()))
    headers |= {"Transfer-Encoding": "chunked", "Trailer": "X-Stream-Error"}
    parts = _parts(dag, found, form, part)
    return Answer(200, tuple(headers.items()), body=chunked(parts), length=None, parts=parts)


def _attached(request: Request, name: str) -> str:
    """Never shown by a browser, and under another name if the query says so."""
    return disposition("attachment", parse_qs(request.query).get("filename", [name])[-1])


def _parts(dag: Dag, found: Found, form: Wanted, part: tuple[int, int] | None) -> Iterator[Step]:
    """The CAR's header, then its blocks, one a step."""
    yield car.header([found.cid])
    sent = set()
    try:
        for cid in selected(dag, found, form.scope, part):
            if form.dups == "y" or cid not in sent:
                sent.add(cid)
                yield car.section(cid, bytes(dag.blocks.view(cid)))
    except DagError as error:
        yield Trailer("X-Stream-Error", str(error))
