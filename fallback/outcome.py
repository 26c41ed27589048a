"""What one attempt came to: the table of DESIGN.md ("Outcomes"), as types.

Each class is a fact about an attempt. What follows from it for this file is `plan`'s to say, what
follows for the source is `health`'s; nothing here decides anything. `Failed` carries a failure
from where it is seen (transport, sources, verify's caller) to where the plan is asked.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

REASON_CHARS = 500
"""The longest reason kept: a host's name and a sentence."""


@functools.cache
def _spelled(name: str) -> str:
    return re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request to one source; `reason` is one short printable line for people, without secrets."""

    reason: str

    def __post_init__(self) -> None:
        # A host's name may be a server's choice, and a terminal obeys what it is shown.
        reason = self.reason[:REASON_CHARS]
        if not reason.isprintable():
            reason = "".join(char if char.isprintable() else "?" for char in reason)
        object.__setattr__(self, "reason", reason)

    @property
    def kind(self) -> str:
        """The outcome's name as events and metrics spell it, such as `not_here`."""
        return _spelled(type(self).__name__)

    def __str__(self) -> str:
        return self.reason


class Delivered(Outcome):
    """The whole file arrived and was proven."""


class PartDelivered(Outcome):
    """The part that was asked for arrived and was proven; others are to come."""


class NotHere(Outcome):
    """The source answers, and does not have the file: 404, 410, 451, 412, 406, 401/403 of a gateway."""


@dataclass(frozen=True, slots=True)
class BlocksOnly(Outcome):
    """A gateway that gives no file, or not a part of this one, but its blocks as a CAR. `always`: it said so of all files."""

    always: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable(Outcome):
    """No connection: refused, name not resolved, TLS, dead proxy. `lasting`: no use in trying again."""

    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Unavailable(Outcome):
    """The server cannot now: 5xx, 408, 425. `timed_out`: it never answered, and that cost `timeout_s`."""

    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Throttled(Outcome):
    """429, or 503 with Retry-After: not before `retry_after_s` seconds from now (None: not said)."""

    retry_after_s: float | None = None


class Retired(Outcome):
    """429 or 410 with a past `Sunset` (RFC 8594): this service will not come back."""


@dataclass(frozen=True, slots=True)
class Interrupted(Outcome):
    """The body broke off after `gained` new bytes. `stalled`: by our clock, not by the other end."""

    gained: int = 0
    stalled: bool = False


class Malformed(Outcome):
    """An answer that cannot be this file, or breaks HTTP's rules; no byte of it was proven wrong."""


@dataclass(frozen=True, slots=True)
class Corrupt(Outcome):
    """Bytes proven wrong that this source sent; `seen` is their SHA-256 in hex.

    `others`: whom the chunks proved to have sent wrong bytes, too. `mendable`: it is known which
    bytes are wrong, and only they are needed. `gained`: bytes that came right since it was last so.
    """

    seen: str = ""
    others: tuple[str, ...] = ()
    mendable: bool = False
    gained: int = 0


@dataclass(frozen=True, slots=True)
class Spliced(Outcome):
    """Bytes proven wrong in a file that more than one response wrote, and this source is not to blame.

    Without chunks nobody is, and the file starts anew; `others` and `mendable` are as for `Corrupt`.
    """

    others: tuple[str, ...] = ()
    mendable: bool = False


class Outrun(Outcome):
    """It was asked beside another, which did better, or was of no help with parts of a file: nothing is held against it."""


class Refused(Outcome):
    """HuggingFace wants a token, or another one: 401, 403, a gated repository."""


class Storage(Outcome):
    """This machine's disk failed: never the source's fault, never retried on the network."""


class Failed(Exception):  # noqa: N818 - it carries an outcome, and ends nothing but the attempt
    """Ends an attempt with `outcome`. Never leaves `download`."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.reason)
