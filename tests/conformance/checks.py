"""Checks that a case of one run names, where numbers of requests are not enough. Each yields what was wrong."""

from __future__ import annotations

import hashlib
import itertools
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


def others_right(run: Run) -> Iterable[str]:
    """Every file is right but the job's first, which nobody has."""
    wanted = [file["path"] for file in run.job["files"][1:]]
    if run.right != wanted:
        yield f"right are {', '.join(run.right) or 'none'}; expected {', '.join(wanted)}"


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
    # A tenth for what lies between a client's clock and the fakes': a request is noted when it is read, and may be late.
    if one and two and two[0].time - one[0].time < patience_s * 0.9:
        yield f"the next source was asked after {two[0].time - one[0].time:.2f} s; the patience is {patience_s:g} s"


def old_bytes_kept(run: Run) -> Iterable[str]:
    """What stood at the first file's place before the run is somewhere in the job's folder still."""
    before = next(iter(run.before.values()))
    files = [path for path in Path(run.job["folder"]).rglob("*") if path.is_file() and not path.is_symlink()]
    if not [path for path in files if hashlib.sha256(path.read_bytes()).hexdigest() == before]:
        yield "the file that was there before is gone"


def a_second_between(run: Run) -> Iterable[str]:
    """Between the first request of the only source and its second is a second at least."""
    asked = [entry for entry in run.entries if entry.server in {"gateway1", "hub"} and entry.method]
    # A date has whole seconds, so that of one in two seconds one is left at least.
    if len(asked) < 2:
        yield "the source was not asked again"
    elif asked[1].time - asked[0].time < 0.95:
        yield f"the source was asked again after {asked[1].time - asked[0].time:.2f} s"


def pauses(run: Run) -> Iterable[str]:
    """Between two requests is half of the job's backoff at least, for chance may shorten it."""
    times = [entry.time for entry in run.asked("gateway1")]
    shortest = min((later - earlier for earlier, later in itertools.pairwise(times)), default=None)
    if shortest is not None and shortest < float(run.job["backoff_s"]) / 2:
        yield f"only {shortest:.2f} s between two requests to a source that fails"


def second_has_range(run: Run) -> Iterable[str]:
    """The second request asks for the rest."""
    asked = run.asked("gateway1")
    if len(asked) < 2 or not asked[1].range:
        yield "no second request with a Range"


def no_weak_if_range(run: Run) -> Iterable[str]:
    """No If-Range has a weak tag (RFC 9110 section 13.1.5)."""
    for entry in run.entries:
        if entry.headers.get("if-range", "").startswith("W/"):
            yield f"If-Range: {entry.headers['if-range']}"


def identity(run: Run) -> Iterable[str]:
    """Every request wants the bytes as they are."""
    for entry in run.entries:
        accepted = entry.headers.get("accept-encoding", "identity")
        if accepted not in {"identity", ""}:
            yield f"Accept-Encoding: {accepted}"


def nothing_smuggled(run: Run) -> Iterable[str]:
    """No request has a header, a method or a path that the fault's Location had put behind a line end."""
    for entry in run.entries:
        if "x-injected" in entry.headers or any(sign in entry.path for sign in "\r\n\0"):
            yield f"a request for {entry.path!r} has what a Location had behind a line end"


def no_request_to_first(run: Run) -> Iterable[str]:
    """gateway1, whose certificate proves nothing, is sent no request."""
    if [entry for entry in run.entries if entry.server == "gateway1" and entry.method]:
        yield "a request was sent over a connection whose certificate proves nothing"


def _sources(run: Run) -> list[str]:
    """Scheme and host of each URL of the first file, in order."""
    return ["/".join(url.split("/")[:3]) for url in run.job["files"][0]["urls"]]


ALL: dict[str, Callable[[Run], Iterable[str]]] = {
    "first-file-not-asked": first_file_not_asked,
    "others-right": others_right,
    "asked-in-order": asked_in_order,
    "second-after-patience": second_after_patience,
    "a-second-between": a_second_between,
    "pauses": pauses,
    "second-has-range": second_has_range,
    "no-weak-if-range": no_weak_if_range,
    "identity": identity,
    "nothing-smuggled": nothing_smuggled,
    "no-request-to-first": no_request_to_first,
    "old-bytes-kept": old_bytes_kept,
}
