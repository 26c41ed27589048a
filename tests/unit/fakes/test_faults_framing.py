"""Where a body ends, how a head is spelled, and what comes before and behind an answer, byte for byte on a socket."""

from __future__ import annotations

import gzip
import re
import time
from typing import TYPE_CHECKING, Any, Literal

import pytest
import requests

from fakes import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from tests.unit.fakes.conftest import Talk

SIZE = 40_000


class TestChunks:
    @pytest.mark.fault(48)
    @pytest.mark.parametrize(
        ("where", "kept"), [({}, SIZE // 2), ({"offset": 16}, 16), ({"offset": -1}, SIZE - 1)]
    )
    def test_cut_after_a_chunk(
        self, world: World, big: str, content: bytes, talk: Talk, where: dict[str, Any], kept: int
    ) -> None:
        """Whole chunks, no last one, FIN."""
        world.add("gateway1", faults.ChunkedCut(**where))
        heard = talk(big)
        assert heard.body == b"%x\r\n%s\r\n" % (kept, content[:kept])
        assert (heard.headers["transfer-encoding"], heard.end) == ("chunked", "fin")
        assert "content-length" not in heard.headers
        assert (world.journal[-1].ended, world.journal[-1].status) == ("truncated", 200)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(big, timeout=5)

    def test_cut_inside_a_chunk(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """The chunk promises more than comes."""
        world.add("gateway1", faults.ChunkedCut(offset=10, inside=True))
        heard = talk(big)
        assert (heard.body, heard.end) == (b"%x\r\n%s" % (SIZE, content[:10]), "fin")

    def test_every_byte_but_no_last_chunk(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.ChunkedCut(fraction=1.0))
        assert talk(big).body == b"%x\r\n%s\r\n" % (SIZE, content)

    @pytest.mark.fault(34)
    def test_a_length_besides(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """Both framings in one head, and the body in chunks."""
        world.add("gateway1", faults.LengthAndChunks())
        heard = talk(big)
        assert (heard.headers["content-length"], heard.headers["transfer-encoding"]) == (str(SIZE), "chunked")
        assert heard.body == b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, content)


class TestCutEvery:
    @pytest.mark.fault(46)
    @pytest.mark.parametrize(("reset", "end", "noted"), [(False, "fin", "truncated"), (True, "rst", "reset")])
    def test_no_answer_gives_more(
        self, world: World, big: str, content: bytes, talk: Talk, *, reset: bool, end: str, noted: str
    ) -> None:
        """Wherever the range begins; the length promised is that of the range."""
        world.add("gateway1", faults.CutEvery(bytes=15_000, reset=reset))
        for start in (0, 15_000):
            heard = talk(big, f"Range: bytes={start}-")
            assert (heard.end, heard.body) == (end, content[start : start + 15_000])
            assert heard.headers["content-length"] == str(SIZE - start)
            assert (world.journal[-1].ended, world.journal[-1].bytes_sent) == (noted, 15_000)

    @pytest.mark.parametrize("start", [25_000, 30_000])
    def test_what_fits_is_whole(self, world: World, big: str, content: bytes, talk: Talk, start: int) -> None:
        """Up to the very last byte that fits, and the connection stays."""
        world.add("gateway1", faults.CutEvery(bytes=15_000))
        heard = talk(big, f"Range: bytes={start}-", close=False, timeout=0.5)
        assert (heard.body, heard.end) == (content[start:], "silent")
        assert world.journal[-1].ended == "complete"

    def test_an_endless_body_too(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Endless())
        world.add("gateway1", faults.CutEvery(bytes=100_000))
        heard = talk(big)
        assert (len(heard.body), heard.end) == (100_000, "fin")


class TestBehind:
    @pytest.mark.fault(51)
    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_trailing_garbage(
        self, world: World, big: str, content: bytes, talk: Talk, framing: Literal["length", "chunked"]
    ) -> None:
        """The answer is whole, the garbage is counted nowhere, and the connection stays open behind it."""
        world.add("gateway1", faults.TrailingGarbage("more", framing))
        heard = talk(big, close=False, timeout=0.1)
        body = content if framing == "length" else b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, content)
        assert (heard.body, heard.end) == (body + b"more", "silent")
        assert ("content-length" in heard.headers) == (framing == "length")
        assert world.journal[-1].ended == "complete"
        assert requests.get(big, timeout=5).content == content

    @pytest.mark.fault(87)
    def test_smuggled(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """A second answer, complete in itself, on a connection that stays open; one request in the journal."""
        world.add("gateway1", faults.Smuggled())
        heard = talk(big, close=False, timeout=0.1)
        first, second = heard.body[:SIZE], heard.body[SIZE:]
        head, _, body = second.partition(b"\r\n\r\n")
        assert (first, body, heard.end) == (content, bytes(255 - byte for byte in content), "silent")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Length: 40000" in head
        assert (len(world.journal), world.journal[-1].bytes_sent) == (1, SIZE)


class TestLength:
    @pytest.mark.fault(32, 33)
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("small", ["20000"]),
            ("negative", ["-40000"]),
            ("word", ["abc"]),
            ("twice", ["40000", "20000"]),
        ],
    )
    def test_said_wrong_and_sent_whole(
        self,
        world: World,
        big: str,
        content: bytes,
        talk: Talk,
        kind: Literal["small", "negative", "word", "twice"],
        said: list[str],
    ) -> None:
        world.add("gateway1", faults.ContentLength(kind))
        heard = talk(big)
        assert re.findall(r"(?m)^Content-Length: (.*?)\r?$", heard.head.decode()) == said
        assert (heard.status, heard.body, heard.end) == (200, content, "fin")


class TestHead:
    @pytest.mark.fault(35)
    def test_a_huge_header(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.HeaderFlood(size=1_000_000))
        heard = talk(big)
        assert (len(heard.headers["x-flood-1"]), heard.body) == (1_000_000, content)
        assert heard.head.index(b"X-Flood-1: xxx") < heard.head.index(b"Content-Length: ")

    @pytest.mark.fault(35)
    def test_many_headers(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.HeaderFlood(count=10_000, size=3))
        heard = talk(big)
        assert len([name for name in heard.headers if name.startswith("x-flood-")]) == 10_000
        assert (heard.headers["x-flood-10000"], heard.body) == ("xxx", content)

    @pytest.mark.fault(86)
    @pytest.mark.parametrize(
        ("style", "line"),
        [
            ("lower-case", b"\r\ncontent-length: 40000\r\n"),
            ("upper-case", b"\r\nCONTENT-LENGTH: 40000\r\n"),
            ("obs-fold", b"\r\nContent-Length:\r\n 40000\r\n"),
        ],
    )
    def test_spelling(
        self,
        world: World,
        big: str,
        content: bytes,
        talk: Talk,
        style: Literal["lower-case", "upper-case", "obs-fold"],
        line: bytes,
    ) -> None:
        """Every header line, those of the connection included; the status line stays; the values stay."""
        world.add("gateway1", faults.HeaderStyle(style))
        heard = talk(big)
        assert heard.head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert line in heard.head
        names = re.findall(rb"\r\n([^ :]+):(?= |\r\n )", heard.head)
        same: dict[str, Callable[[bytes], bytes]] = {"lower-case": bytes.lower, "upper-case": bytes.upper}
        assert [same.get(style, bytes)(name) for name in names] == names
        assert heard.head.count(b":\r\n ") == (len(names) if style == "obs-fold" else 0)
        assert (heard.body, world.journal[-1].status) == (content, 200)

    @pytest.mark.fault(85)
    @pytest.mark.parametrize("length", [True, False])
    def test_http_1_0(self, world: World, big: str, content: bytes, talk: Talk, *, length: bool) -> None:
        """Closed after the answer, also for a client that would have kept the connection."""
        world.add("gateway1", faults.ConnectionClose(length=length))
        heard = talk(big, close=False)
        assert heard.head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert (heard.headers["connection"], heard.body, heard.end) == ("close", content, "fin")
        assert heard.headers.get("content-length") == (str(SIZE) if length else None)
        assert world.journal[-1].ended == "complete"

    @pytest.mark.fault(37)
    def test_a_bomb(self, world: World, big: str, talk: Talk) -> None:
        """A thousandth on the wire; errors are left as they are."""
        world.add("gateway1", faults.GzipBomb(mib=3))
        heard = talk(big)
        assert (heard.status, heard.headers["content-encoding"]) == (200, "gzip")
        assert int(heard.headers["content-length"]) == len(heard.body) < 10_000
        assert gzip.decompress(heard.body) == bytes(3 << 20)
        assert talk(f"{big}x").status == 404


class TestBefore:
    HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"

    @pytest.mark.fault(29)
    def test_early_hints(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """The final answer is the healthy one, and the journal has its status."""
        world.add("gateway1", faults.EarlyHints(count=3))
        heard = talk(big)
        assert heard.data.startswith(self.HINTS * 3 + b"HTTP/1.1 200 OK\r\n")
        assert heard.data.endswith(b"\r\n\r\n" + content)
        assert (world.journal[-1].status, world.journal[-1].ended) == (200, "complete")

    def test_hints_and_then_nothing(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.EarlyHints())
        world.add("gateway1", faults.Hang())
        heard = talk(big, timeout=0.1)
        assert (heard.data, heard.end) == (self.HINTS, "silent")

    @pytest.mark.fault(29)
    @pytest.mark.parametrize(("status", "each"), [(100, b"HTTP/1.1 100 Continue\r\n\r\n"), (103, HINTS)])
    def test_a_flood_never_ends(
        self, world: World, big: str, talk: Talk, status: Literal[100, 103], each: bytes
    ) -> None:
        """Nothing but informational answers, until the client goes."""
        world.add("gateway1", faults.InformationalFlood(status))
        heard = talk(big, at_most=3000)
        count = len(heard.data) // len(each)
        assert heard.data == each * count
        assert heard.end == "open"
        started = time.monotonic()
        while world.journal[-1].ended == "open":
            assert time.monotonic() - started < 5
        assert (world.journal[-1].ended, world.journal[-1].status) == ("client-closed", None)

    def test_a_floods_pace(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.InformationalFlood(interval_s=0.1))
        started = time.monotonic()
        assert talk(big, at_most=51).data == b"HTTP/1.1 100 Continue\r\n\r\n" * 3
        assert 0.2 <= time.monotonic() - started < 2
