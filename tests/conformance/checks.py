"""Checks that a case of one run names, where numbers of requests are not enough. Each yields what was wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .stage import Run


def first_file_not_asked(run: Run) -> Iterable[str]:
    """Nobody is asked for the job's first file."""
    name = Path(run.job["files"][0]["path"]).name
    if [entry for entry in run.entries if unquote(entry.path).endswith(f"/{name}")]:
        yield f"{name} was asked for"


def asked_in_order(run: Run) -> Iterable[str]:
    """The first requests to each source come in the order of the first file's URLs."""
    first: dict[str, float] = {}
    for entry in run.entries:
        first.setdefault(f"http://{entry.headers.get('host', '')}", entry.time)
    times = [first[url] for url in _sources(run) if url in first]
    if times != sorted(times):
        yield "sources were not asked in the job's order"


def second_after_patience(run: Run) -> Iterable[str]:
    """The second source is not asked before the first has been silent for the job's patience."""
    one, two = (run.asked(server) for server in ("gateway1", "gateway2"))
    patience_s = float(run.job["patience_s"])
    # The fakes note a request when they have read it; a twentieth of a second is for a busy machine.
    if one and two and two[0].time - one[0].time < patience_s - 0.05:
        yield f"the next source was asked after {two[0].time - one[0].time:.2f} s; the patience is {patience_s:g} s"


def old_bytes_kept(run: Run) -> Iterable[str]:
    """What stood at the first file's place before the run is somewhere in the job's folder still."""
    before = next(iter(run.before.values()))
    files = [path for path in Path(run.job["folder"]).rglob("*") if path.is_file() and not path.is_symlink()]
    if not [path for path in files if hashlib.sha256(path.read_bytes()).hexdigest() == before]:
        yield "the file that was there before is gone"


def _sources(run: Run) -> list[str]:
    """Scheme and host of each URL of the first file, in order."""
    return ["/".join(url.split("/")[:3]) for url in run.job["files"][0]["urls"]]


ALL: dict[str, Callable[[Run], Iterable[str]]] = {
    "first-file-not-asked": first_file_not_asked,
    "asked-in-order": asked_in_order,
    "second-after-patience": second_after_patience,
    "old-bytes-kept": old_bytes_kept,
}
