"""Where the redirects of URLs led a moment ago: the next part of a file is asked for there, and not by the same way.

A source that answers by a redirect is asked two questions a request, and the HuggingFace Hub counts those to it.
Where a part was had from is asked for the next one, until it refuses: a signed URL's time is over then, and it is
resolved again (DESIGN, "Jitter … Redirects"). Exclusions: nothing is asked here (`transport`), nothing is kept
longer than the run, and whether a redirect may be followed is `exchange`'s to say.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.exchange import Head

MOST = 64
"""URLs that are kept: those of the files under way, and of as many small ones that came meanwhile."""

OVER = frozenset({400, 401, 403, 404, 410})
"""How storage says that a signed URL is good no more: S3 and CloudFront 403, others 400 and 401; or is gone."""


@dataclass(frozen=True, slots=True)
class End:
    """The URL at the end of the redirects, and the addresses that were `permitted` for it by then; None: all."""

    url: str
    permitted: Callable[[str], bool] | None


class Trail:
    """The ends of the URLs that were asked last, shared by threads."""

    def __init__(self) -> None:
        self._ends: dict[str, End] = {}
        self._lock = threading.Lock()

    def led(self, url: str, end: End) -> None:
        """A file that was asked for at `url` was had from `end`."""
        with self._lock:
            self._ends.pop(url, None)
            self._ends[url] = end
            if len(self._ends) > MOST:
                del self._ends[next(iter(self._ends))]

    def end(self, url: str) -> End | None:
        """Where it was had from; None: from the URL itself, or nobody knows."""
        with self._lock:
            return self._ends.get(url)

    def forget(self, url: str) -> None:
        """It is not to be had there any more."""
        with self._lock:
            self._ends.pop(url, None)


def is_over(head: Head) -> bool:
    """Whether it is answered there that the file is not had there any more, or is elsewhere."""
    return head.status in OVER or head.location is not None
