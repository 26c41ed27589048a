"""Cases of several runs, or in which something happens while a client runs, by the names that cases give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import play_cached, play_killed, play_secrets, play_together

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

ALL: dict[str, Callable[[Stage], None]] = {
    "warm": play_cached.warm,
    "deleted": play_cached.deleted,
    "rotten": play_cached.rotten,
    "not-asked-again": play_cached.not_asked_again,
    "contradicting-chunks": play_cached.contradicting_chunks,
    "killed-and-resumed": play_killed.killed_and_resumed,
    "tampered": play_killed.tampered,
    "with-token": play_secrets.with_token,
    "no-cookies": play_secrets.no_cookies,
    "redirected-inside": play_secrets.redirected_inside,
    "downgraded": play_secrets.downgraded,
    "herd": play_together.herd,
}
