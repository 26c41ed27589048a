"""A gateway's page for a folder: what is in it, as links, under headers of its own."""

from __future__ import annotations

import hashlib
import html
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from fakes.answer import Answer, text_answer
from fakes.dag import FOLDERS
from fakes.ranges import tag_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request
    from fakes.dag import Dag
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.dagpb import Link

_TEMPLATE = "<!DOCTYPE html>\n<title>{title}</title>\n<h1>Index of {title}</h1>\n<table>\n{rows}\n</table>\n"
_VERSION = hashlib.sha256(_TEMPLATE.encode()).hexdigest()[:16]


def listing(request: Request, dag: Dag, cid: Cid, headers: Mapping[str, str]) -> Answer:
    """The page for the folder `cid`; its tag changes with the page's looks, as boxo's does."""
    headers = {
        **headers,
        "ETag": f'"DirIndex-{_VERSION}_CID-{cid}"',
        "Cache-Control": "public, max-age=604800, stale-while-revalidate=2678400",
    }
    if tag_matches(request.header("if-none-match"), headers["ETag"]):
        return Answer(304, tuple(headers.items()))
    # One level alone: what is below an entry is asked for only to see whether it is a folder.
    rows = "\n".join(_row(*_entry(dag, link)) for link in sorted(dag.entries(cid), key=_bytes))
    title = html.escape(unquote(headers["X-Ipfs-Path"]).rstrip("/"))
    page = _TEMPLATE.format(title=title, rows=rows)
    return text_answer(200, page, headers, content_type="text/html; charset=utf-8")


def _entry(dag: Dag, link: Link) -> tuple[bytes, int | None]:
    """An entry's name and size; a folder's name ends in a slash, and its size is not said."""
    if link.cid in dag.blocks and dag.node(link.cid).entry.kind in FOLDERS:
        return _bytes(link) + b"/", None
    return _bytes(link), link.tsize


def _bytes(link: Link) -> bytes:
    return (link.name or "").encode("utf-8", "surrogateescape")


def _row(name: bytes, size: int | None) -> str:
    # "./": a name with a colon in it would be read as a scheme.
    shown = html.escape(name.decode("utf-8", "replace"))
    cells = f'<a href="./{quote(name)}">{shown}</a>', "" if size is None else str(size)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
