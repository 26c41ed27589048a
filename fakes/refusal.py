"""How the Hub words an error (the client tells them apart by X-Error-Code, never by the text)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.answer import json_answer

if TYPE_CHECKING:
    from fakes.answer import Answer


def refusal(status: int, code: str | None, message: str) -> Answer:
    """An error as the Hub words it: code and message in headers, the message again in JSON."""
    # What a client put into its URL must not become a header line of ours.
    headers = {"X-Error-Message": message.encode("unicode_escape").decode()} | (
        {"X-Error-Code": code} if code else {}
    )
    return json_answer(status, {"error": message}, headers)
