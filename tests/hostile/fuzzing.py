"""How much is tried: `examples` of a property, `FALLBACK_FUZZ` times as many, and each input counted by its kind.

`FALLBACK_FUZZ=50 pytest tests/hostile --hypothesis-seed=1` is what `make nightly` does; the summary at its end says
how many inputs of which kind there were.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTOR = int(os.environ.get("FALLBACK_FUZZ", "1"))
MOST_S = 30.0
"""No input may cost more: on a machine that does other things, too."""

TRIED: Counter[str] = Counter()


def examples(count: int) -> Any:
    """So many examples of a property, times `FALLBACK_FUZZ`."""
    too_slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count * FACTOR, deadline=None, suppress_health_check=too_slow)


@contextmanager
def tried(kind: str) -> Iterator[None]:
    """Count an input of this kind; it must be done with in time."""
    TRIED[kind] += 1
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MOST_S, f"{kind}: it took {time.monotonic() - began:.1f} s"


@st.composite
def spoiled(draw: st.DrawFn, good: bytes) -> bytes:
    """`good` with bits flipped, bytes put in, taken out or doubled, or cut off."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 64))
        match draw(st.sampled_from(["flip", "flip", "junk", "insert", "remove", "double", "cut"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "junk":
                data[at : at + size] = draw(st.binary(min_size=1, max_size=64))
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=64))
            case "remove":
                del data[at : at + size]
            case "double":
                data[at:at] = data[at : at + size]
            case _:
                del data[at:]
    return bytes(data)


NASTY: st.SearchStrategy[Any] = st.sampled_from([
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**4000, 1.5, -0.0, "", " ", "..", "../x", "/etc/passwd", "a\\b", "C:\\x",
    "c:x", "a\0b", "NUL", "con.txt", "a/../b", "./a", "a//b", "a/", "\u202etxt", "caf\u00e9", "cafe\u0301", "K", "\u212a", "\u017f",
    "\ud800", "x" * 300, "x/" * 600, "%2e%2e/x", ".partial", "a.partial", ".fallback", ".FALLBACK/x", ".manifests.json", "~", "~root",
    "$HOME", "a\nb", "\x1b[2J", "0" * 64, "f" * 64, "g" * 64, [], {}, [[]], {"": {}}, {"files": {}}, {"files": {"a": {}}}, ["a", 1],
    "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "http://x/", "model", "dataset",
])  # fmt: skip
"""What a document would not have in a place, and what somebody might put there."""


@st.composite
def misedited(draw: st.DrawFn, good: Any) -> Any:
    """The JSON value `good` with something else in a few places of it: a key more, a key less, another value."""
    if draw(st.integers(0, 5)) == 0 or not isinstance(good, dict | list) or not good:
        return draw(NASTY)
    if isinstance(good, list):
        made = list(good)
        at = draw(st.integers(0, len(made) - 1))
        made[at] = draw(misedited(made[at]))
        return made
    changed = dict(good)
    name = draw(st.sampled_from(sorted(changed)))
    match draw(st.sampled_from(["deeper", "deeper", "deeper", "rename", "drop", "more"])):
        case "deeper":
            changed[name] = draw(misedited(changed[name]))
        case "rename":
            changed[str(draw(NASTY))] = changed.pop(name)
        case "drop":
            del changed[name]
        case _:
            changed[str(draw(NASTY))] = draw(NASTY)
    return changed
