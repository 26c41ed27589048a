"""Faults that a Hub and its CDN are known for, as a socket sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.faults import HeadLength, PartAs200, RangeIgnored, RateLimited

if TYPE_CHECKING:
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk


@pytest.mark.fault(30, 45)
class TestHeadLength:
    @pytest.mark.parametrize(("fault", "length"), [(HeadLength(), "0"), (HeadLength("nothing"), None)])
    def test_head_lies_and_get_does_not(
        self, world: World, big: str, content: bytes, talk: Talk, fault: HeadLength, length: str | None
    ) -> None:
        right = talk(big, method="HEAD")
        world.add("*", fault)
        head, get = talk(big, method="HEAD"), talk(big)
        assert head.headers.get("content-length") == length
        assert head.headers["etag"] == right.headers["etag"]
        assert (head.status, get.body, get.headers["content-length"]) == (200, content, str(len(content)))

    def test_a_redirect_is_left_alone(self, world: World, talk: Talk) -> None:
        world.add("*", HeadLength())
        heard = talk(f"{world.hub}/org/tiny/resolve/main/config.json", method="HEAD")
        assert (heard.status, heard.headers["content-length"]) != (307, "0")


@pytest.mark.fault(18)
def test_rate_limited_says_when_in_ratelimit_alone(world: World, talk: Talk) -> None:
    world.add("hub", RateLimited(seconds=7))
    heard = talk(f"{world.hub}/org/tiny/resolve/main/config.json")
    assert (heard.status, heard.headers["ratelimit"]) == (429, '"resolvers";r=0;t=7')
    assert heard.headers["ratelimit-policy"] == '"fixed window";"resolvers";q=3000;w=300'
    assert "retry-after" not in heard.headers


@pytest.mark.fault(70)
def test_a_part_as_200(world: World, big: str, content: bytes, talk: Talk) -> None:
    world.add("*", PartAs200())
    heard = talk(big, "Range: bytes=10-19")
    assert (heard.status, heard.body, heard.headers["content-length"]) == (200, content[10:20], "10")
    assert heard.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert talk(big).body == content


@pytest.mark.fault(70)
@pytest.mark.parametrize(("accepted", "status"), [("gzip, deflate", 200), ("identity", 206)])
def test_a_range_ignored_for_who_accepts_gzip(
    world: World, big: str, talk: Talk, accepted: str, status: int
) -> None:
    world.add("*", RangeIgnored(if_gzip=True))
    assert talk(big, "Range: bytes=10-19", f"Accept-Encoding: {accepted}").status == status
