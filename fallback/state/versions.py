"""What HuggingFace last said of each model's version, and when it was asked.

Exclusions: what that makes of the model is `version`'s to say, and nothing is asked here
(`revalidate`). A row that cannot be read is as good as none: the model is asked about again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fallback.state.attempts import LAST_SECOND

if TYPE_CHECKING:
    from fallback.state.db import Database

COLUMNS = "question, asked_at, due_at, found, known_at, unknown_since, problem, pinned, differing"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one model. Times are seconds since the epoch.

    Attributes:
        question: what was asked; to another question this is no answer.
        asked_at: when it was last asked, whatever came of it; `due_at`: when it may be asked again.
        found: the commit its branch stood at when that was last known, which was at `known_at`.
        unknown_since: None if the last question had an answer; else when the first was asked that had none.
        problem: why it is not known, or not all of it; for people.
        pinned: the commit that `differing` was found out for.
        differing: files of the manifest that are others at `found`, or not there.
    """

    question: str
    asked_at: float
    due_at: float
    found: str | None = None
    known_at: float | None = None
    unknown_since: float | None = None
    problem: str = ""
    pinned: str | None = None
    differing: tuple[str, ...] = ()


class Versions:
    """The table `versions`, by the model's name."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, model: str) -> Known | None:
        """What is known of `model`, if that can be read."""
        for row in self._db.execute(f"SELECT {COLUMNS} FROM versions WHERE model = ?", (model,)):  # noqa: S608 - a constant
            return _known(row)
        return None

    def put(self, model: str, known: Known) -> None:
        """Remember `known` of `model`, instead of what was."""
        *values, differing = (getattr(known, name) for name in COLUMNS.split(", "))
        self._db.execute(
            f"INSERT OR REPLACE INTO versions (model, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (model, *values, json.dumps(differing)),
        )


def _known(row: tuple[Any, ...]) -> Known | None:
    *values, text = row
    try:
        paths = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    fields = [*values, tuple(paths) if isinstance(paths, list) else ()]
    known = Known(*fields)
    moments = [known.asked_at, known.due_at, known.known_at, known.unknown_since]
    texts = [known.question, known.problem, known.found, known.pinned]
    whole = (
        all(moment is None or _is_moment(moment) for moment in moments)
        and None not in moments[:2]
        and all(text is None or isinstance(text, str) for text in (*texts, *known.differing))
        and None not in (*texts[:2], *known.differing)
    )
    return known if whole else None


def _is_moment(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= LAST_SECOND
