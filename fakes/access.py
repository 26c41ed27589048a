"""Who asks the fake Hub, and what they may have: tokens, gated repositories, and those that are not there.

A token is good if it is the one that the Hub was given. Another that looks like one (`hf_…`) is a stranger's, who is let
in everywhere but at the gates; anything else in Authorization is garbage. No token is secret here.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from fakes.answer import json_answer, text_answer
from fakes.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fakes.answer import Answer, Request
    from fakes.repos import HubRepo

Missing = Literal["404", "401"]


class Caller(enum.Enum):
    """Who asks."""

    ANONYMOUS = "anonymous"
    GRANTED = "fake-user"
    STRANGER = "stranger"
    GARBAGE = "garbage"


@dataclass(frozen=True)
class Access:
    """The Hub's rules: its good `token` if any, its `gated` repositories, and those `renamed` (old name: new name).

    `anonymous_missing` is the status for who has no token and asks for a repository that is not there: "401", without a
    code, as the real one says, or "404" with one; huggingface_hub takes such a 401 for a missing repository over https
    alone.
    """

    token: str | None = None
    gated: Collection[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    anonymous_missing: Missing = "404"

    def caller(self, request: Request) -> Caller:
        """Who asks, by Authorization."""
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if not scheme:
            return Caller.ANONYMOUS
        if scheme.lower() != "bearer":
            return Caller.GARBAGE
        if self.token is not None and hmac.compare_digest(token.encode(), self.token.encode()):
            return Caller.GRANTED
        return Caller.STRANGER if token.startswith("hf_") else Caller.GARBAGE

    def gate(self, caller: Caller, repo: HubRepo) -> Answer | None:
        """The refusal at a gate, if there is one and it is shut; metadata has none, only the files do."""
        if repo.name not in self.gated:
            return unknown_token() if caller is Caller.GARBAGE else None
        if caller is Caller.GRANTED:
            return None
        what = f"Access to {repo.type} {repo.name} is restricted"
        if caller is Caller.STRANGER:
            return refusal(403, "GatedRepo", f"{what} and you are not in the authorized list.")
        return refusal(
            401, "GatedRepo", f"{what}. You must have access to it and be authenticated to access it."
        )

    def missing(self, request: Request, caller: Caller, name: str) -> Answer:
        """No such repository, or 307 to its new name; who has no token is not told whether there is one."""
        new = self.renamed.get(name)
        if new is not None:
            return _moved(request, name, new)
        if caller is Caller.GARBAGE:
            return unknown_token()
        if caller is Caller.ANONYMOUS and self.anonymous_missing == "401":
            return refusal(401, None, "Invalid username or password.")
        return refusal(404, "RepoNotFound", "Repository not found")


def _moved(request: Request, old: str, new: str) -> Answer:
    """307 to the same thing under the new name: relative, and the query kept."""
    location = request.raw_path.replace(f"/{quote(old)}", f"/{quote(new)}", 1)
    location += f"?{request.query}" if request.query else ""
    return text_answer(307, f"Temporary Redirect. Redirecting to {location}", {"Location": location})


def unknown_token() -> Answer:
    """401 for an Authorization that is none."""
    return refusal(401, None, "Invalid credentials in Authorization header")


def whoami(caller: Caller) -> Answer:
    """`/api/whoami-v2`: the user whose token it is."""
    if caller is Caller.GARBAGE:
        return unknown_token()
    if caller is Caller.ANONYMOUS:
        return refusal(401, None, "Invalid username or password.")
    token = {"displayName": "fake", "role": "read", "createdAt": "2025-01-01T00:00:00.000Z"}
    user = {
        "type": "user",
        "id": "0" * 24,
        "name": caller.value,
        "fullname": caller.value,
        "isPro": False,
        "orgs": [],
        "auth": {"type": "access_token", "accessToken": token},
    }
    return json_answer(200, user)
