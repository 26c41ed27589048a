"""What is known of each source, kept for the next run: `Health` as a JSON text per source.

Exclusions: how much an old record is still worth is `fallback.health.carried`'s to say, and which
source is asked is `plan`'s. A row that cannot be a `Health` is as good as none: a source nothing
is known of is simply asked.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from typing import TYPE_CHECKING, Any

from fallback.health import Health

if TYPE_CHECKING:
    from fallback.state.db import Database


_KEPT = tuple(field.name for field in dataclasses.fields(Health) if field.name != "failed")
"""Which files failed is about one run."""


class KnownHealth:
    """The table `source_health`. Of two processes that save, the later one is right.

    But for what lasts: a ban or a retirement that another process found stays.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def load(self) -> dict[str, Health]:
        """Every source's record that can be read."""
        rows = self._db.execute("SELECT source, record FROM source_health ORDER BY source")
        return {source: health for source, text in rows if (health := _parse(text)) is not None}

    def save(self, source: str, health: Health) -> None:
        """Keep `health` for `source`, with the bans and the retirement that are known already."""
        for (text,) in self._db.execute("SELECT record FROM source_health WHERE source = ?", (source,)):
            known = _parse(text)
            if known is not None:
                bans = {sha256: until for sha256, until in known.bans.items() if until > time.time()}
                health = dataclasses.replace(
                    health, bans=bans | dict(health.bans), retired=health.retired or known.retired
                )
        record = {name: getattr(health, name) for name in _KEPT}
        text = json.dumps(record | {"bans": dict(health.bans)})
        self._db.execute(
            "INSERT OR REPLACE INTO source_health (source, record) VALUES (?, ?)", (source, text)
        )

    def forget(self, source: str) -> bool:
        """Drop what is known of `source`; whether there was anything."""
        # Asked first, for DELETE … RETURNING needs an SQLite of 2021
        known = self._db.execute("SELECT 1 FROM source_health WHERE source = ?", (source,))
        self._db.execute("DELETE FROM source_health WHERE source = ?", (source,))
        return bool(known)


def _parse(text: Any) -> Health | None:
    try:
        record = json.loads(text)
        health = Health(**{key: value for key, value in record.items() if key in _KEPT})
        return health if _makes_sense(health) else None
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        return None


def _makes_sense(health: Any) -> bool:
    moments = (health.failed_at, health.cooling_until, *health.bans.values())
    return (
        all(type(moment) in {int, float} and math.isfinite(moment) for moment in moments)
        and all(type(count) is int and count >= 0 for count in (health.failures, health.streak))
        and type(health.firm) is type(health.retired) is bool
        and isinstance(health.reason, str)
    )
