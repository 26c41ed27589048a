"""A soak: a random world and random acts for two minutes in CI, for an hour every night; and what must stay flat does.

`FALLBACK_SOAK_S` says how many seconds, `FALLBACK_SOAK_SEED` which world: a failure names its seed.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.acts import Soak
from tests.soak.gauges import assert_flat, growth
from tests.soak.place import place

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = float(os.environ.get("FALLBACK_SOAK_S", "120"))
FEWEST_LOOKS = 6
"""Fewer say nothing of a trend; a slow machine goes on until there are so many."""


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 3 + 600)
def test_soak(tmp_path: Path) -> None:
    seed = int(os.environ.get("FALLBACK_SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nsoak: FALLBACK_SOAK_SEED={seed} FALLBACK_SOAK_S={SECONDS:g}", flush=True)
    ends_at = time.monotonic() + SECONDS
    with place(tmp_path) as world:
        soak = Soak(seed, tmp_path, world)
        try:
            with soak.watched.during():
                while time.monotonic() < ends_at or len(soak.seen) < FEWEST_LOOKS:
                    soak.step()
                soak.look()
        finally:
            for child in soak.children:
                child.kill()
            print(f"did {sum(soak.did.values())}: {dict(sorted(soak.did.items()))}")
            print(f"looks at files {soak.watched.looks}, wrong {len(soak.watched.wrong)}")
            for seen in (soak.seen[:1], soak.seen[len(soak.seen) // 3 :][:1], soak.seen[-1:]):
                print(*seen)
    print(f"growth {growth(soak.seen)}")
    assert not soak.watched.wrong, seed
    assert_flat(soak.seen)
