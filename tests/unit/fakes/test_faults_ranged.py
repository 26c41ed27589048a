"""Ranges not given as asked, and files that are other ones the next time, as a socket sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes import faults

if TYPE_CHECKING:
    from fakes.faults import Fault
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk

SIZE = 40_000
ABOUT_PARTS = [
    faults.RangeRefused(),
    faults.ShortRange(),
    faults.OtherTotal(),
    faults.StarTotal(),
    faults.MultipartRange(),
    faults.CorruptOnResume(),
    faults.IfRangeIgnored(),
]


@pytest.mark.parametrize("fault", ABOUT_PARTS, ids=lambda fault: fault.name)
def test_who_asks_for_everything_gets_it(
    world: World, big: str, content: bytes, talk: Talk, fault: Fault
) -> None:
    world.add("gateway1", fault)
    heard = talk(big)
    assert (heard.status, heard.body) == (200, content)


@pytest.mark.parametrize("fault", [*ABOUT_PARTS, faults.Changed(), faults.ETag(), faults.RangeUnasked()])
def test_errors_and_redirects_are_left_alone(world: World, big: str, talk: Talk, fault: Fault) -> None:
    world.add("*", fault)
    assert talk(f"{big}x", "Range: bytes=1-").status == 404
    heard = talk(f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin", "Range: bytes=1-")
    assert (heard.status, heard.headers["location"].startswith(world.cdn)) == (302, True)


@pytest.mark.fault(26)
def test_refused_though_satisfiable(world: World, big: str, talk: Talk) -> None:
    """416 with the true size, for a range that the file has."""
    world.add("gateway1", faults.RangeRefused())
    heard = talk(big, "Range: bytes=100-199")
    assert (heard.status, heard.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert heard.body == b"no such range\n"
    assert world.journal[-1].status == 416


@pytest.mark.fault(27, 28)
@pytest.mark.parametrize("start", [SIZE, SIZE + 1])
def test_a_healthy_416_is_for_the_end_and_beyond(world: World, big: str, talk: Talk, start: int) -> None:
    """Numbers 27 and 28 need no fault: a partial as long as the file, or longer."""
    heard = talk(big, f"Range: bytes={start}-")
    assert (heard.status, heard.headers["content-range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.fault(25)
def test_a_part_that_nobody_asked_for(world: World, big: str, content: bytes, talk: Talk) -> None:
    world.add("gateway1", faults.RangeUnasked(offset=300))
    heard = talk(big)
    assert (heard.status, heard.headers["content-range"]) == (206, f"bytes 0-299/{SIZE}")
    assert heard.body == content[:300]
    assert talk(big, "Range: bytes=300-").body == content[300:]
    assert talk(big, method="HEAD").status == 200


@pytest.mark.fault(72)
@pytest.mark.parametrize(
    ("fault", "last"),
    [
        (faults.ShortRange(), 149),
        (faults.ShortRange(offset=10), 109),
        (faults.ShortRange(offset=0), 100),
        (faults.ShortRange(offset=-1), 198),
        (faults.ShortRange(offset=500), 199),
    ],
)
def test_a_short_part_is_rightly_labelled(
    world: World, big: str, content: bytes, talk: Talk, fault: Fault, last: int
) -> None:
    """Fewer bytes than asked for, one at least, and every header tells the truth."""
    world.add("gateway1", fault)
    heard = talk(big, "Range: bytes=100-199", close=False, timeout=0.5)
    assert (heard.status, heard.headers["content-range"]) == (206, f"bytes 100-{last}/{SIZE}")
    assert int(heard.headers["content-length"]) == len(heard.body) == last - 99
    assert heard.body == content[100 : last + 1]
    assert (heard.end, world.journal[-1].ended) == ("silent", "complete")


@pytest.mark.fault(73, 74)
@pytest.mark.parametrize(
    ("fault", "total"),
    [
        (faults.OtherTotal(), str(SIZE + 1)),
        (faults.OtherTotal(more=-1000), str(SIZE - 1000)),
        (faults.StarTotal(), "*"),
    ],
)
def test_totals(world: World, big: str, content: bytes, talk: Talk, fault: Fault, total: str) -> None:
    """The right bytes from the right place; only the size of the file is said otherwise."""
    world.add("gateway1", fault)
    heard = talk(big, "Range: bytes=100-199")
    assert (heard.status, heard.headers["content-range"]) == (206, f"bytes 100-199/{total}")
    assert (heard.headers["content-length"], heard.body) == ("100", content[100:200])


@pytest.mark.fault(75)
def test_multipart(world: World, big: str, content: bytes, talk: Talk) -> None:
    """One part, with a head of its own; Content-Length is that of the whole."""
    world.add("gateway1", faults.MultipartRange(boundary="B"))
    heard = talk(big, "Range: bytes=100-199")
    assert (heard.status, heard.headers["content-type"]) == (206, "multipart/byteranges; boundary=B")
    assert "content-range" not in heard.headers
    assert heard.body == (
        b"--B\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 100-199/40000\r\n\r\n"
        + content[100:200]
        + b"\r\n--B--\r\n"
    )
    assert int(heard.headers["content-length"]) == len(heard.body)


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (faults.CorruptOnResume(), 50),
        (faults.CorruptOnResume(offset=3), 3),
        (faults.CorruptOnResume(offset=-1), 99),
        (faults.CorruptOnResume(offset=100), 99),
    ],
)
def test_corrupt_in_parts_alone(
    world: World, big: str, content: bytes, talk: Talk, fault: Fault, place: int
) -> None:
    world.add("gateway1", fault)
    body = talk(big, "Range: bytes=100-199").body
    wrong = [index for index in range(100) if body[index] != content[100 + index]]
    assert (len(body), wrong, body[place] ^ content[100 + place]) == (100, [place], 1)


class TestChanged:
    """Old is a version that is wrong in every byte; the file of the catalogue is the new one."""

    def test_wrong_bytes_under_a_tag_of_their_own(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        right = talk(big).headers["etag"]
        world.add("gateway1", faults.Changed(), first=1)
        old, new = talk(big), talk(big)
        assert (old.status, old.headers["content-length"]) == (200, str(SIZE))
        assert all(x != y for x, y in zip(old.body, content, strict=True))
        assert old.headers["etag"] == f'"other-{right[1:]}'
        assert (new.headers["etag"], new.body) == (right, content)

    @pytest.mark.fault(76, 80)
    def test_if_range_with_the_old_tag_gets_all_of_the_new_version(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        """Number 76."""
        world.add("gateway1", faults.Changed(), first=1)
        old = talk(big).headers["etag"]
        heard = talk(big, "Range: bytes=100-", f"If-Range: {old}")
        assert (heard.status, heard.body) == (200, content)

    def test_without_if_range_parts_of_both_can_be_had(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        """What makes a splice; the tags differ."""
        world.add("gateway1", faults.Changed(), first=1)
        old, new = talk(big, "Range: bytes=0-99"), talk(big, "Range: bytes=100-199")
        assert (old.status, new.status) == (206, 206)
        assert (old.body, new.body) == (bytes(255 - byte for byte in content[:100]), content[100:200])
        assert old.headers["etag"] != new.headers["etag"]

    def test_the_other_way_round(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """Right first, another version for ever after, which knows its own tag and no other."""
        world.add("gateway1", faults.Changed(), after=1)
        right = talk(big)
        assert right.body == content
        heard = talk(big, "Range: bytes=100-199", f"If-Range: {right.headers['etag']}")
        assert (heard.status, heard.body[:1]) == (200, bytes([255 - content[0]]))
        part = talk(big, "Range: bytes=100-199", f"If-Range: {heard.headers['etag']}")
        assert (part.status, part.body) == (206, heard.body[100:200])
        assert talk(big, f"Range: bytes={SIZE}-").status == 416
        assert talk(big, f"If-None-Match: {right.headers['etag']}").status == 200

    @pytest.mark.fault(77)
    def test_if_range_ignored(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """Number 77: the old tag gets a part of the new version."""
        world.add("gateway1", faults.Changed(), first=1)
        world.add("gateway1", faults.IfRangeIgnored())
        old = talk(big).headers["etag"]
        heard = talk(big, "Range: bytes=100-199", f"If-Range: {old}")
        assert (heard.status, heard.body) == (206, content[100:200])

    @pytest.mark.fault(78, 79)
    @pytest.mark.parametrize("kind", ["weak", "none"])
    def test_tags_that_prove_nothing(
        self, world: World, big: str, content: bytes, talk: Talk, kind: str
    ) -> None:
        """Numbers 78 and 79, for both versions; whatever If-Range says gets everything."""
        world.add("gateway1", faults.Changed(), first=1)
        world.add("gateway1", faults.ETag("weak" if kind == "weak" else "none"))
        old, new = talk(big), talk(big)
        tags = [heard.headers.get("etag") for heard in (old, new)]
        if kind == "weak":
            assert tags[0] != tags[1]
            assert all(tag and tag.startswith('W/"') for tag in tags)
        else:
            assert tags == [None, None]
        assert (old.body == content, new.body == content) == (False, True)
        assert talk(big, "Range: bytes=100-199").body == content[100:200]
        for tag in ('W/"x"', '"x"', tags[1] or '""'):
            assert talk(big, "Range: bytes=100-199", f"If-Range: {tag}").status == 200

    @pytest.mark.fault(80)
    def test_another_tag_for_the_same_bytes(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """Number 80: two servers, two tags, one file."""
        world.add("gateway1", faults.ETag("other"))
        one, two = talk(big), talk(big.replace(world.gateways[0], world.gateways[1]))
        assert one.headers["etag"] != two.headers["etag"]
        assert one.body == two.body == content
        statuses = [
            talk(big, "Range: bytes=1-2", f"If-Range: {heard.headers['etag']}").status for heard in (one, two)
        ]
        assert statuses == [206, 200]
