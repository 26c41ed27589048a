"""The Hub's rate limit: so many requests in a fixed window, said in every answer by RateLimit and RateLimit-Policy.

One count for each bucket ("resolvers" for files, "api" for the rest) and client. Without a quota the headers are those
of the real Hub to somebody who has hardly begun, and nothing is refused.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fakes.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.answer import Answer

Bucket = Literal["resolvers", "api"]
_REAL: dict[Bucket, int] = {"resolvers": 3000, "api": 500}  # a window, without a token (November 2026)


@dataclass(frozen=True)
class Spent:
    """What a client has left after this request: `allowed` says whether it is answered at all."""

    bucket: Bucket
    quota: int
    window_s: float
    left: int
    reset_s: int
    allowed: bool = True

    def headers(self) -> dict[str, str]:
        """As the real Hub writes them (a draft of the IETF's httpapi group, before its last one)."""
        return {
            "RateLimit": f'"{self.bucket}";r={self.left};t={self.reset_s}',
            "RateLimit-Policy": f'"fixed window";"{self.bucket}";q={self.quota};w={self.window_s:g}',
        }


class Quota:
    """The counts. Not for several threads at once: a fake answers on one."""

    def __init__(
        self, quota: int | None = None, window_s: float = 300, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quota, self._window_s, self._clock = quota, window_s, clock
        self._windows: dict[tuple[Bucket, str], tuple[float, int]] = {}

    def spend(self, bucket: Bucket, client: str) -> Spent:
        """Count one request; a client's window begins with its first one."""
        if self._quota is None:
            return Spent(bucket, _REAL[bucket], self._window_s, _REAL[bucket] - 3, 258)
        now = self._clock()
        began, count = self._windows.get((bucket, client), (now, 0))
        if now >= began + self._window_s:
            began, count = now, 0
        self._windows[bucket, client] = began, count + 1
        return Spent(
            bucket,
            self._quota,
            self._window_s,
            left=max(0, self._quota - count - 1),
            reset_s=math.ceil(began + self._window_s - now),
            allowed=count < self._quota,
        )


def rationed() -> Answer:
    """429; when to come back is in RateLimit alone, there is no Retry-After."""
    return refusal(429, None, "We had to rate limit your IP. To continue using our service, log in or wait.")
