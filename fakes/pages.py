"""A gateway's short answers: an error, or that something is elsewhere."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from fakes.answer import text_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.answer import Answer, Request


def moved(request: Request, location: str) -> Answer:
    """301, the query kept; of a GET with a line of HTML, as Go's http.Redirect writes it."""
    target = location + (f"?{request.query}" if request.query else "")
    page = f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n'
    return text_answer(301, page, {"Location": target}, content_type="text/html; charset=utf-8")


def said(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in plain text, or as a page for who wants HTML."""
    if "text/html" not in (request.header("accept") or ""):
        return text_answer(status, f"{text}\n", headers)
    page = f"<!DOCTYPE html>\n<title>{status}</title>\n<p>{html.escape(text)}</p>\n"
    return text_answer(status, page, headers, content_type="text/html; charset=utf-8")
