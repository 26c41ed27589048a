from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fakes.quota import Quota
from fakes.world import World

if TYPE_CHECKING:
    from tests.unit.fakes.conftest import Talk


def test_a_window_is_fixed_and_begins_with_its_first_request() -> None:
    now = [1000.0]
    quota = Quota(2, 10, clock=lambda: now[0])
    seen = []
    for later in (0, 4, 5, 10, 19.5, 20):
        now[0] = 1000 + later
        spent = quota.spend("api", "x")
        seen.append((spent.allowed, spent.left, spent.reset_s))
    assert seen == [(True, 1, 10), (True, 0, 6), (False, 0, 5), (True, 1, 10), (True, 0, 1), (True, 1, 10)]


def test_clients_and_buckets_are_counted_apart() -> None:
    quota = Quota(1, 10)
    assert all(quota.spend(bucket, who).allowed for bucket in ("api", "resolvers") for who in "xy")
    assert not quota.spend("api", "x").allowed


def test_without_a_quota_nothing_is_refused() -> None:
    quota = Quota()
    assert all(quota.spend("resolvers", "x").allowed for _ in range(4000))
    assert quota.spend("resolvers", "x").headers() == {
        "RateLimit": '"resolvers";r=2997;t=258',
        "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
    }


def test_a_hub_that_counts(tiny: dict[str, Any], talk: Talk) -> None:
    """429 with nothing left and the seconds to wait; after so many it goes on. A token has a count of its own."""
    with World(tiny, hub_quota=2, hub_window_s=0.6) as world:
        url = f"{world.hub}/org/tiny/resolve/main/config.json"
        first = time.monotonic()
        heard = [talk(url) for _ in range(3)]
        assert [one.status for one in heard] == [307, 307, 429]
        assert [one.headers["ratelimit"] for one in heard] == [
            f'"resolvers";r={left};t=1' for left in (1, 0, 0)
        ]
        assert heard[2].headers["ratelimit-policy"] == '"fixed window";"resolvers";q=2;w=0.6'
        assert "retry-after" not in heard[2].headers
        assert talk(url, "Authorization: Bearer hf_other").status == 307
        assert talk(f"{world.hub}/api/models/org/tiny").headers["ratelimit"] == '"api";r=1;t=1'
        time.sleep(max(0.0, first + 0.7 - time.monotonic()))
        assert talk(url).status == 307
