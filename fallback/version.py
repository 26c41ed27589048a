"""Which version of a model is here, next to the one that HuggingFace has: pure decisions.

- A model that its manifest pins to a commit is `current` if its branch stands at that commit, and `newer` if
  at another one: a newer version is to be had (`fallback upgrade`).
- It is `unknown` while the last question had no answer, and once the last answer is `stale_days` old; then it
  is stale, too. Neither keeps it from being served.
- One that follows a branch has no commit to compare (`unpinned`), one without a repository is followed by
  nobody (`untracked`); each says so.
- HuggingFace is asked once in `revalidate_h` and up to a tenth more of it, whatever came of it.

Exclusions: nothing is asked or remembered here (`revalidate`, `state.versions`); the time is a parameter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fallback.hub_answers import GIT_ID, SHA256_OF_LFS
from fallback.sources import HuggingFace

if TYPE_CHECKING:
    from fallback.manifest import File, HubRef, Model
    from fallback.settings import Settings
    from fallback.state.versions import Known

JITTER = 0.1
"""Of `revalidate_h`: so that machines that began together drift apart."""


SKEW_S = 3600.0
"""By so much the clocks of two processes or machines may differ, and neither is wrong."""


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a model's version. Times are seconds since the epoch.

    Attributes:
        pinned: the commit of the manifest; found: where the branch stood when that was last known.
        differing: files of the manifest that are others at `found`, or not there.
        unknown_since: of an unknown one, since when; None: it was never asked.
        problem: why it is not known, or not all of it.
    """

    model: str
    state: Literal["current", "newer", "unknown", "unpinned", "untracked"]
    branch: str | None = None
    pinned: str | None = None
    found: str | None = None
    differing: tuple[str, ...] = ()
    asked_at: float | None = None
    known_at: float | None = None
    unknown_since: float | None = None
    stale: bool = False
    problem: str = ""

    def __str__(self) -> str:
        """For people: `current`, `newer (commit …)`, `unknown since …`, and what else is to be said."""
        told = "; ".join(part for part in (self._heading(), self._files(), self.problem) if part)
        return f"{told}; stale" if self.stale else told

    def to_json(self) -> dict[str, Any]:
        """The same as JSON, `said` for people, times in ISO 8601."""
        times = {name: _iso(getattr(self, name)) for name in ("asked_at", "known_at", "unknown_since")}
        return asdict(self) | times | {"differing": list(self.differing), "said": str(self)}

    def _heading(self) -> str:
        match self.state:
            case "current":
                return "current"
            case "newer":
                return f"newer (commit {self.found})"
            case "unpinned":
                stands = f", now at commit {self.found}" if self.found else ""
                return f"unpinned: it follows {self.branch}{stands}; `fallback upgrade` pins it"
            case "untracked":
                return "untracked: its manifest names no repository on HuggingFace"
        if self.unknown_since is None:
            return "unknown: never asked"
        then = f", then newer (commit {self.found})" if self.found not in {None, self.pinned} else ""
        return f"unknown since {_iso(self.unknown_since)}{then}"

    def _files(self) -> str:
        count = len(self.differing)
        if self.state == "current":
            return f"{count} file(s) of the manifest are others there" if count else ""
        if self.state in {"newer", "unpinned"} and count:
            return f"{count} file(s) differ"
        return "none of its files differs" if self.state == "newer" and not self.problem else ""


def version_of(model: Model, known: Known | None, settings: Settings, now: float) -> Version:
    """What is known of the model's version; `known`: what the database has of it, if anything."""
    ref = model.huggingface
    if ref is None:
        return Version(model.name, "untracked")
    pinned = pin(ref)
    version = Version(model.name, "unknown" if pinned else "unpinned", branch_of(ref), pinned)
    if known is None or known.question != question(ref, settings):
        return version
    since = known.unknown_since if known.known_at is None else known.known_at
    stale = since is not None and now - since > settings.stale_days * 86400
    version = replace(
        version,
        found=known.found,
        asked_at=known.asked_at,
        known_at=known.known_at,
        stale=stale,
        problem=known.problem,
        differing=known.differing if known.pinned == pinned else (),
    )
    if stale or known.unknown_since is not None or known.found is None:
        return replace(version, unknown_since=since)
    return replace(version, state=_compared(pinned, known.found))


def _compared(pinned: str | None, found: str) -> Literal["current", "newer", "unpinned"]:
    if pinned is None:
        return "unpinned"
    return "current" if pinned == found else "newer"


def is_due(model: Model, known: Known | None, settings: Settings, now: float) -> bool:
    """Whether HuggingFace may be asked about it. A time of asking that is long to come is a wrong clock's."""
    ref = model.huggingface
    if ref is None or settings.offline:
        return False
    if known is None or known.question != question(ref, settings):
        return True
    return now >= known.due_at or now < known.asked_at - SKEW_S


def next_due(settings: Settings, now: float, jitter: float) -> float:
    """When it may be asked again that is asked now; `jitter` from 0 to 1."""
    return now + settings.revalidate_h * 3600 * (1 + JITTER * jitter)


def differs(file: File, said: str | None, pinned: str | None) -> bool:
    """Whether a file is another at a commit, by what it says of itself there (None: it is not there).

    `pinned`: what it says of itself at the commit that is pinned, if that is known. In LFS it says its
    SHA-256, which the manifest has; without either, nothing says that it is another.
    """
    if said is None:
        return True
    if said.startswith(SHA256_OF_LFS) and file.sha256 is not None:
        return said != f"{SHA256_OF_LFS}{file.sha256}"
    return pinned is not None and said != pinned


def pin(ref: HubRef) -> str | None:
    """The commit that a model is pinned to; None if its revision is a branch or a tag."""
    return ref.revision if GIT_ID.fullmatch(ref.revision) else None


def branch_of(ref: HubRef) -> str:
    """Where newer versions are looked for: what it was pinned from, or what it follows."""
    return ref.branch or ("main" if pin(ref) else ref.revision)


def question(ref: HubRef, settings: Settings) -> str:
    """What is asked about it: an answer is of this endpoint, repository and branch alone."""
    return HuggingFace(settings.hf_endpoint).api_url(replace(ref, revision=branch_of(ref)), "revision")


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
