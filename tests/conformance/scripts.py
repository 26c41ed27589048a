"""Cases of several runs, or in which something happens while a client runs, by the names that cases give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import play_cached, play_hostile, play_killed, play_publish, play_secrets, play_together, play_told

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

ALL: dict[str, Callable[[Stage], None]] = {
    "warm": play_cached.warm,
    "deleted": play_cached.deleted,
    "rotten": play_cached.rotten,
    "not-asked-again": play_cached.not_asked_again,
    "contradicting-chunks": play_cached.contradicting_chunks,
    "hostile-path": play_hostile.hostile_path,
    "one-path-twice": play_hostile.one_path_twice,
    "file-as-folder": play_hostile.file_as_folder,
    "unproven": play_hostile.unproven,
    "no-open-ports": play_hostile.no_open_ports,
    "unpacked": play_hostile.unpacked,
    "killed-and-resumed": play_killed.killed_and_resumed,
    "tampered": play_killed.tampered,
    "killed": play_killed.killed,
    "killed-at-rename": play_killed.killed_at_rename,
    "stopped": play_killed.stopped,
    "finished-before-a-kill": play_killed.finished_before_a_kill,
    "state-lost": play_killed.state_lost,
    "clock-jump": play_killed.clock_jump,
    "flow-killed": play_killed.flow_killed,
    "publish": play_publish.publish,
    "with-token": play_secrets.with_token,
    "no-cookies": play_secrets.no_cookies,
    "redirected-inside": play_secrets.redirected_inside,
    "downgraded": play_secrets.downgraded,
    "together": play_together.together,
    "holder-gone": play_together.holder_gone,
    "sweep-while-busy": play_together.sweep_while_busy,
    "two-versions": play_together.two_versions,
    "many-files": play_together.many_files,
    "herd": play_together.herd,
    "events": play_told.events,
    "metrics": play_told.metrics,
}
