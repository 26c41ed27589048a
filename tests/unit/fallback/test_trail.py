"""Where redirects led: by URL, for as long as it is had there."""

from __future__ import annotations

import pytest

from fallback.exchange import Head
from fallback.trail import MOST, End, Trail, is_over


def test_where_it_was_had_last_is_known_until_it_is_forgotten() -> None:
    trail = Trail()
    assert trail.end("a") is None
    trail.led("a", End("x", None))
    trail.led("a", End("y", None))
    assert trail.end("a") == End("y", None)
    trail.forget("a")
    trail.forget("a")
    assert trail.end("a") is None


def test_the_oldest_is_forgotten_first() -> None:
    """However many files a run has."""
    trail = Trail()
    for number in range(MOST):
        trail.led(str(number), End("there", None))
    trail.led("0", End("elsewhere", None))
    trail.led("new", End("there", None))
    assert trail.end("1") is None
    assert trail.end("0") == End("elsewhere", None)
    assert trail.end(str(MOST - 1)) == trail.end("new") == End("there", None)


@pytest.mark.parametrize(
    ("status", "over"),
    [
        (200, False),
        (206, False),
        (302, True),
        (403, True),
        (404, True),
        (416, False),
        (429, False),
        (503, False),
    ],
)
def test_what_says_that_it_is_not_had_there_any_more(status: int, *, over: bool) -> None:
    """Who is merely busy there would be so by way of the source, too."""
    assert is_over(Head(status, {"location": "/there"} if status == 302 else {}, "http://a.invalid/")) is over
