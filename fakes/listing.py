"""A gateway's page for a folder: what is in it, as links, under headers of its own."""

from __future__ import annotations

import hashlib
import html
from typing import TYPE_CHECKING
from urllib.parse import quote

from fakes.answer import Answer, text_answer
from fakes.ranges import tag_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Request
    from fakes.catalogue import Model

_TEMPLATE = "<!DOCTYPE html>\n<title>{title}</title>\n<h1>Index of {title}</h1>\n<table>\n{rows}\n</table>\n"
_VERSION = hashlib.sha256(_TEMPLATE.encode()).hexdigest()[:16]


def is_folder(model: Model, path: str) -> bool:
    """Whether the path, with or without its slash, is a folder of the model; the model's root is one."""
    folder = path.rstrip("/")
    return not folder or any(name.startswith(f"{folder}/") for name in model.files)


def listing(request: Request, model: Model, folder: str, cid: str, headers: Mapping[str, str]) -> Answer:
    """The page for a folder whose CID is `cid`; its tag changes with the page's looks, as boxo's does."""
    headers = {
        **headers,
        "ETag": f'"DirIndex-{_VERSION}_CID-{cid}"',
        "Cache-Control": "public, max-age=604800, stale-while-revalidate=2678400",
    }
    if tag_matches(request.header("if-none-match"), headers["ETag"]):
        return Answer(304, tuple(headers.items()))
    rows = "\n".join(_row(name, size) for name, size in sorted(_entries(model, folder).items()))
    title = html.escape(f"/ipfs/{model.cid}/{folder}".rstrip("/"))
    page = _TEMPLATE.format(title=title, rows=rows)
    return text_answer(200, page, headers, content_type="text/html; charset=utf-8")


def _entries(model: Model, folder: str) -> dict[str, int | None]:
    """What is right in the folder, by name; a folder's name ends in a slash, and its size is unknown."""
    start = f"{folder.rstrip('/')}/" if folder.rstrip("/") else ""
    found: dict[str, int | None] = {}
    for path, blob in model.files.items():
        if path.startswith(start):
            name, slash, _ = path.removeprefix(start).partition("/")
            found[name + slash] = None if slash else blob.size
    return found


def _row(name: str, size: int | None) -> str:
    # "./": a name with a colon in it would be read as a scheme.
    cells = f'<a href="./{quote(name)}">{html.escape(name)}</a>', "" if size is None else str(size)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
