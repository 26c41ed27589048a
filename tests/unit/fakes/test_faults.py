"""Every fault twice: what its JSON is, and what a socket sees of it, byte for byte."""

from __future__ import annotations

import email.utils
import gzip
import json
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from fakes import faults
from fakes.answer import Request
from fakes.faults import FAULTS, Fault, fault_from_dict

if TYPE_CHECKING:
    from fakes.world import World
    from tests.unit.fakes.conftest import Talk

LOCATION = {"redirect": {"location": "http://x.invalid/"}}
ALL = [fault_from_dict({"name": name, **LOCATION.get(name, {})}) for name in FAULTS]


def end_of(world: World) -> str:
    return world.journal[-1].ended


class TestJson:
    @pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
    def test_there_and_back(self, fault: Fault) -> None:
        assert fault_from_dict(json.loads(json.dumps(fault.to_dict()))) == fault

    @pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
    def test_each_has_numbers_or_is_of_a_car_and_a_group_and_a_line(self, fault: Fault) -> None:
        assert all(1 <= number <= 113 for number in fault.numbers)
        assert bool(fault.numbers) == (fault.group not in {"car", "pinning"})
        assert fault.group
        assert fault.what().endswith(".")

    def test_the_public_list_is_the_registry(self) -> None:
        public = {
            value for value in vars(faults).values() if isinstance(value, type) and issubclass(value, Fault)
        }
        assert public - {Fault} == set(FAULTS.values())
        assert {cls.__name__ for cls in public} <= set(faults.__all__)

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            ({"name": "nope"}, "no fault is called 'nope'; known: accept-close, "),
            ({}, 'an object with a "name"'),
            ([], 'an object with a "name"'),
            ({"name": "stall", "ofset": 1}, "'stall' has no field 'ofset'; known: offset, fraction, seconds"),
            ({"name": "refused", "x": 1}, "no field 'x'; known: none"),
            ({"name": "stall", "offset": "1"}, "offset is int | None, not '1'"),
            ({"name": "stall", "offset": True}, "offset is int | None, not True"),
            ({"name": "endless", "promise": 1}, "promise is bool, not 1"),
            ({"name": "status", "headers": {"a": 1}}, "headers is dict"),
            ({"name": "no-length", "framing": "x"}, "framing is Literal"),
            ({"name": "redirect"}, "location"),
            ({"name": "status", "status": 100}, "200 to 999"),
            ({"name": "dribble", "bytes_per_s": 0}, "more than 0"),
            ({"name": "header-drip", "interval_s": 0}, "more than 0"),
            ({"name": "informational-flood", "status": 101}, "status is Literal[100, 103], not 101"),
            ({"name": "cut-every", "bytes": 0}, "1 or more"),
            ({"name": "latency", "latency": -1}, "'latency': latency is 0 or more, not -1"),
            ({"name": "latency", "latency": float("inf")}, "latency is float, not inf"),
            ({"name": "partial-pin", "files": -1}, "'partial-pin': files is 0 or more"),
            ({"name": "upload-cut", "fraction": -0.1}, "'upload-cut': fraction is 0 or more"),
        ],
    )
    def test_what_is_wrong_is_said(self, document: Any, says: str) -> None:
        with pytest.raises(ValueError, match=re.escape(says)):
            fault_from_dict(document)

    def test_a_fault_of_no_kind_plays_nothing(self) -> None:
        with pytest.raises(NotImplementedError):
            Fault().answer(Request("", "", ""), lambda _request: pytest.fail("asked the site"))


class TestConnect:
    @pytest.mark.fault(1)
    def test_refused_and_back_on_the_same_port(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        for _ in range(3):
            number = world.add("gateway1", faults.Refused())
            with pytest.raises(ConnectionRefusedError):
                talk(big)
            world.remove(number)
            assert talk(big).body == content

    def test_refused_ends_open_connections(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Stall(), first=1)
        parts = urlsplit(big)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            sock.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert talk.hear(sock, 1000).end == "open"
            world.add("gateway*", faults.Refused())
            assert talk.hear(sock).end == "rst"

    @pytest.mark.fault(6)
    def test_accept_reset(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.AcceptReset())
        with pytest.raises(ConnectionResetError):
            _fail_on_any_reset(talk, big)
        entry = world.journal[-1]
        assert (entry.method, entry.path, entry.faults, entry.ended) == ("", "", ("accept-reset",), "reset")

    @pytest.mark.fault(5)
    def test_accept_close(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.AcceptClose())
        parts = urlsplit(big)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            heard = talk.hear(sock)
            assert (heard.data, heard.end) == (b"", "fin")
        assert end_of(world) == "closed"

    @pytest.mark.fault(7)
    def test_accept_silent(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.AcceptSilent())
        heard = talk(big, timeout=0.2)
        assert (heard.data, heard.end) == (b"", "silent")
        assert end_of(world) == "held"

    @pytest.mark.fault(5)
    def test_no_answer(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.NoAnswer())
        heard = talk(big)
        assert (heard.data, heard.end) == (b"", "fin")
        assert (world.journal[-1].ended, world.journal[-1].status) == ("closed", None)

    @pytest.mark.fault(6)
    def test_reset_request(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.ResetRequest())
        heard = talk(big)
        assert (heard.data, heard.end) == (b"", "rst")
        assert (world.journal[-1].ended, world.journal[-1].status) == ("reset", None)

    @pytest.mark.fault(8)
    def test_stale_keepalive(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """Nothing in the answer says that the connection is going to close."""
        world.add("gateway1", faults.StaleKeepAlive())
        heard = talk(big, close=False)
        assert (heard.body, heard.end) == (content, "fin")
        assert "connection" not in heard.headers
        assert end_of(world) == "complete"


def _fail_on_any_reset(talk: Talk, url: str) -> None:
    """A RST may meet the client at sendall or at recv."""
    if talk(url).end == "rst":
        raise ConnectionResetError


class TestStatus:
    @pytest.mark.fault(15, 16, 20, 21, 22, 23)
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 410, 416, 425, 429, 451, 500, 502, 503, 504])
    def test_errors(self, world: World, big: str, talk: Talk, status: int) -> None:
        world.add("gateway1", faults.Status(status, headers={"X-Extra": "yes"}, body="why\n"))
        heard = talk(big)
        assert (heard.status, heard.body, heard.headers["x-extra"]) == (status, b"why\n", "yes")
        assert "retry-after" not in heard.headers
        assert world.journal[-1].status == status

    @pytest.mark.fault(25)
    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_a_body(self, world: World, big: str, talk: Talk, status: int) -> None:
        world.add("gateway1", faults.Status(status))
        heard = talk(big)
        assert (heard.status, heard.body, heard.end) == (status, b"", "fin")

    @pytest.mark.fault(25)
    def test_reset_content_has_no_body_and_says_so(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Status(205))
        heard = talk(big)
        assert (heard.status, heard.headers["content-length"], heard.body) == (205, "0", b"")

    @pytest.mark.fault(25)
    def test_partial_content_can_be_claimed_of_nothing(self, world: World, big: str, talk: Talk) -> None:
        """206 without Content-Range, to a request without Range."""
        world.add("gateway1", faults.Status(206, body="partial?"))
        heard = talk(big)
        assert (heard.status, heard.body) == (206, b"partial?")
        assert "content-range" not in heard.headers

    @pytest.mark.fault(17, 19, 107)
    @pytest.mark.parametrize("value", [3, 0, -1, 1_000_000_000, "soon"])
    def test_retry_after_is_sent_as_given(self, world: World, big: str, talk: Talk, value: int | str) -> None:
        world.add("gateway1", faults.Status(429, retry_after=value))
        assert talk(big).headers["retry-after"] == str(value)

    @pytest.mark.fault(18)
    @pytest.mark.parametrize("offset", [30.0, -30.0])
    def test_retry_after_as_a_date(self, world: World, big: str, talk: Talk, offset: float) -> None:
        world.add("gateway1", faults.Status(503, retry_after_date_s=offset))
        at = email.utils.parsedate_to_datetime(talk(big).headers["retry-after"]).timestamp()
        assert abs(at - time.time() - offset) < 3

    @pytest.mark.fault(18, 21)
    @pytest.mark.parametrize("status", [429, 410])
    def test_retired(self, world: World, big: str, talk: Talk, status: int) -> None:
        world.add("gateway1", faults.Retired(status))
        heard = talk(big)
        sunset = email.utils.parsedate_to_datetime(heard.headers["sunset"])
        assert heard.status == status
        assert sunset.timestamp() < time.time()
        assert heard.headers["retry-after"] == "900"

    @pytest.mark.fault(24)
    def test_html(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Html())
        heard = talk(big)
        assert heard.status == 200
        assert heard.headers["content-type"].startswith("text/html")
        assert heard.body.startswith(b"<!doctype html>")
        assert int(heard.headers["content-length"]) == len(heard.body)

    def test_head_has_no_body(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Status(404))
        heard = talk(big, method="HEAD")
        assert (heard.status, heard.body) == (404, b"")
        assert int(heard.headers["content-length"]) > 0


class TestRedirect:
    @pytest.mark.fault(14, 67)
    def test_to_any_url(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Redirect("file://{path}?{query}", 307))
        heard = talk(f"{big}?a=b")
        assert (heard.status, heard.headers["location"]) == (307, f"file://{urlsplit(big).path}?a=b")

    def test_to_another_server_works(self, world: World, big: str, content: bytes) -> None:
        world.add("gateway1", faults.Redirect(world.gateways[1] + "{path}"))
        assert requests.get(big, timeout=5).content == content

    @pytest.mark.fault(66)
    def test_the_journal_says_which_credentials_followed_a_redirect(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        """The same path at another server; a cookie may be set on the way; what arrives there is in its entry."""
        headers = {"Set-Cookie": "session=1; Path=/"}
        world.add("gateway1", faults.Redirect(world.gateways[1] + "{path}", headers=headers))
        heard = talk(big, "Authorization: Bearer t")
        assert heard.headers["set-cookie"] == "session=1; Path=/"
        location = heard.headers["location"]
        assert talk(location, "Authorization: Bearer t", "Cookie: session=1").body == content
        assert talk(location).body == content
        first, told, silent = world.journal
        assert (first.server, first.headers["authorization"]) == ("gateway1", "Bearer t")
        assert (told.server, told.headers["authorization"]) == ("gateway2", "Bearer t")
        assert told.to_dict()["headers"]["cookie"] == "session=1"
        assert {"authorization", "cookie"}.isdisjoint(silent.headers)

    @pytest.mark.fault(69)
    def test_a_signature_that_expires_between_two_ranges(
        self, world: World, content: bytes, talk: Talk
    ) -> None:
        """The CDN refuses one request in its own words; the original URL leads to a good one again."""
        world.add("cdn", faults.ExpiredSignature(), nth=2)
        url = f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin"
        signed = talk(url).headers["location"]
        assert talk(signed, "Range: bytes=0-99").body == content[:100]
        heard = talk(signed, "Range: bytes=100-199")
        assert (heard.status, b"Request has expired" in heard.body) == (403, True)
        assert heard.headers["content-type"] == "application/xml"
        again = talk(url).headers["location"]
        assert talk(again, "Range: bytes=100-199").body == content[100:200]

    @pytest.mark.fault(63)
    def test_a_loop_never_ends(self, world: World, big: str) -> None:
        world.add("gateway1", faults.RedirectLoop())
        with pytest.raises(requests.TooManyRedirects):
            requests.get(f"{big}?keep=1", timeout=5)
        assert len(world.journal) == 31
        assert world.journal[-1].query == "keep=1&hop=30"

    @pytest.mark.fault(64)
    def test_a_chain_ends_in_the_file(self, world: World, big: str, content: bytes) -> None:
        world.add("*", faults.RedirectLoop(hops=5))
        assert requests.get(big, timeout=5).content == content
        assert len(world.journal) == 6

    def test_a_chain_leaves_a_signed_url_valid(self, world: World) -> None:
        world.add("cdn", faults.RedirectLoop(hops=2))
        url = f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin"
        assert requests.get(url, timeout=5).status_code == 200
        assert [entry.status for entry in world.journal] == [302, 302, 302, 200]


class TestHeaders:
    @pytest.mark.fault(37)
    def test_gzip_unasked(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.Gzip())
        heard = talk(big, "Accept-Encoding: identity")
        assert heard.headers["content-encoding"] == "gzip"
        assert int(heard.headers["content-length"]) == len(heard.body)
        assert gzip.decompress(heard.body) == content
        assert requests.get(big, timeout=5).content == content

    @pytest.mark.fault(30)
    def test_no_length_chunked(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.NoLength())
        heard = talk(big)
        assert "content-length" not in heard.headers
        assert heard.headers["transfer-encoding"] == "chunked"
        assert heard.body == b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        assert requests.get(big, timeout=5).content == content

    @pytest.mark.fault(30)
    def test_no_length_until_close(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.NoLength("close"))
        heard = talk(big, close=False)
        assert {"content-length", "transfer-encoding"}.isdisjoint(heard.headers)
        assert (heard.headers["connection"], heard.body, heard.end) == ("close", content, "fin")


class TestRange:
    @pytest.mark.fault(70)
    def test_ignored(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.RangeIgnored())
        heard = talk(big, "Range: bytes=100-199")
        assert (heard.status, heard.body) == (200, content)
        assert "content-range" not in heard.headers
        assert world.journal[-1].range == "bytes=100-199"

    @pytest.mark.fault(71)
    def test_wrong_start_said_honestly(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.WrongStart(shift=10))
        heard = talk(big, "Range: bytes=100-199")
        assert (heard.status, heard.body) == (206, content[90:190])
        assert heard.headers["content-range"] == f"bytes 90-189/{len(content)}"

    @pytest.mark.fault(71)
    def test_wrong_start_with_a_lie(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.WrongStart(shift=10, honest=False))
        heard = talk(big, "Range: bytes=100-199")
        assert heard.headers["content-range"] == f"bytes 100-199/{len(content)}"
        assert heard.body == content[90:190]

    def test_wrong_start_leaves_the_whole_file_alone(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        world.add("gateway1", faults.WrongStart())
        assert (talk(big).status, talk(big).body) == (200, content)


class TestBody:
    @pytest.mark.fault(41)
    @pytest.mark.parametrize(
        ("fault", "place"),
        [
            (faults.Corrupt(), 20_000),
            (faults.Corrupt(offset=7), 7),
            (faults.Corrupt(offset=-1), 39_999),
            (faults.Corrupt(fraction=1.0), 39_999),
            (faults.Corrupt(fraction=0.25), 10_000),
        ],
    )
    def test_one_bit(
        self, world: World, big: str, content: bytes, talk: Talk, fault: Fault, place: int
    ) -> None:
        world.add("gateway1", fault)
        body = talk(big).body
        assert [i for i in range(len(content)) if content[i] != body[i]] == [place]
        assert content[place] ^ body[place] == 1

    def test_a_bad_byte_stays_where_it_is_in_the_file(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        world.add("gateway1", faults.Corrupt(offset=150))
        assert talk(big, "Range: bytes=0-99").body == content[:100]
        assert talk(big, "Range: bytes=151-199").body == content[151:200]
        assert talk(big, "Range: bytes=100-199").body[50] == content[150] ^ 1

    @pytest.mark.fault(44)
    def test_another_file(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.OtherFile())
        body = talk(big).body
        assert len(body) == len(content)
        assert all(x != y for x, y in zip(body, content, strict=True))
        assert talk(big, "Range: bytes=100-199").body == body[100:200]

    def test_body_faults_leave_errors_and_redirects_alone(self, world: World) -> None:
        for fault in (faults.Corrupt(), faults.OtherFile(), faults.Endless()):
            world.add("hub", fault)
        url = f"{world.hub}/org/tiny/resolve/main/onnx/big%20one.bin"
        assert requests.get(url, timeout=5).status_code == 200
        assert requests.get(f"{url}x", timeout=5).json() == {"error": "Entry not found"}

    @pytest.mark.fault(45)
    def test_empty(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Empty())
        heard = talk(big)
        assert (heard.status, heard.headers["content-length"], heard.body) == (200, "0", b"")

    @pytest.mark.fault(31, 46, 55)
    @pytest.mark.parametrize(
        ("where", "kept"),
        [
            ({"offset": 0}, 0),
            ({"offset": 1}, 1),
            ({}, 20_000),
            ({"fraction": 0.1}, 4000),
            ({"offset": -1}, 39_999),
            ({"offset": 39_999}, 39_999),
        ],
    )
    @pytest.mark.parametrize(
        ("kind", "end", "noted"),
        [
            (faults.Truncate, "fin", "truncated"),
            (faults.Reset, "rst", "reset"),
            (faults.Stall, "silent", "held"),
        ],
    )
    def test_cut_exactly_there(
        self,
        world: World,
        big: str,
        content: bytes,
        talk: Talk,
        kind: type[Fault],
        end: str,
        noted: str,
        where: dict[str, Any],
        kept: int,
    ) -> None:
        world.add("gateway1", kind(**where))
        heard = talk(big, timeout=0.15)
        assert (heard.end, heard.body) == (end, content[:kept])
        assert int(heard.headers["content-length"]) == len(content)
        entry = world.journal[-1]
        assert (entry.ended, entry.bytes_sent, entry.status) == (noted, kept, 200)

    def test_offsets_count_what_this_answer_sends(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        world.add("gateway1", faults.Truncate(offset=10))
        assert talk(big, "Range: bytes=100-199").body == content[100:110]

    @pytest.mark.fault(49)
    def test_bad_chunk(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.BadChunk(offset=16))
        heard = talk(big)
        assert heard.body == b"10\r\n%s\r\nxyz\r\nnot a chunk\r\n" % content[:16]
        assert heard.end == "fin"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(big, timeout=5)

    @pytest.mark.fault(52)
    @pytest.mark.parametrize("promise", [False, True])
    def test_endless(self, world: World, big: str, content: bytes, talk: Talk, *, promise: bool) -> None:
        world.add("gateway1", faults.Endless(promise))
        heard = talk(big, at_most=500_000)
        assert heard.body.startswith(content)
        assert len(heard.body) > 10 * len(content)
        assert heard.headers.get("content-length") == (str(len(content)) if promise else None)
        assert (end_of(world), world.journal[-1].bytes_sent > 400_000) == ("client-closed", True)


class TestTiming:
    @pytest.mark.fault(7)
    def test_hang_for_ever(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Hang())
        heard = talk(big, timeout=0.2)
        assert (heard.data, heard.end) == (b"", "silent")
        assert (world.journal[-1].ended, world.journal[-1].status) == ("held", None)

    @pytest.mark.fault(60)
    def test_hang_a_while(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.Hang(seconds=0.2))
        started = time.monotonic()
        assert talk(big).body == content
        assert 0.2 <= time.monotonic() - started < 2
        assert world.journal[-1].seconds >= 0.2

    @pytest.mark.fault(58)
    def test_stall_a_while(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.Stall(seconds=0.2))
        assert talk(big, timeout=0.1).body == content[:20_000]
        assert talk(big, timeout=5).body == content

    @pytest.mark.fault(36, 55)
    def test_header_stall(self, world: World, big: str, talk: Talk) -> None:
        """A head that is never whole has no status in the journal."""
        world.add("gateway1", faults.HeaderStall(offset=40))
        heard = talk(big, timeout=0.15)
        assert (heard.end, len(heard.data), heard.data[:17]) == ("silent", 40, b"HTTP/1.1 200 OK\r\n")
        assert (end_of(world), world.journal[-1].status, world.journal[-1].bytes_sent) == ("held", None, 0)

    def test_header_stall_in_the_middle_and_before_the_last_byte(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        whole = len(talk(big).head) + 4
        for fault, sent in (
            (faults.HeaderStall(), whole // 2),
            (faults.HeaderStall(offset=-1), whole - 1),
        ):
            world.clear()
            world.add("gateway1", fault)
            assert len(talk(big, timeout=0.15).data) == sent
        world.clear()
        world.add("gateway1", faults.HeaderStall(seconds=0.2))
        assert talk(big).body == content
        assert (world.journal[-1].status, world.journal[-1].seconds >= 0.2) == (200, True)

    @pytest.mark.fault(36)
    def test_header_drip(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        """A pause after every byte of the head, none in the body."""
        world.add("gateway1", faults.HeaderDrip(interval_s=0.0005))
        started = time.monotonic()
        heard = talk(big)
        assert (heard.status, heard.body) == (200, content)
        assert time.monotonic() - started >= 0.0005 * len(heard.head)
        assert (end_of(world), world.journal[-1].status) == ("complete", 200)

    def test_header_drip_is_a_byte_at_a_time(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.HeaderDrip(interval_s=30))
        heard = talk(big, timeout=0.15)
        assert (heard.data, heard.end) == (b"H", "silent")
        assert (end_of(world), world.journal[-1].status) == ("client-closed", None)

    @pytest.mark.fault(57)
    def test_dribble(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.Dribble(bytes_per_s=100_000, offset=10_000))
        started = time.monotonic()
        assert talk(big).body == content
        assert 0.25 <= time.monotonic() - started < 2

    @pytest.mark.fault(56)
    def test_dribble_by_the_byte(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Dribble(bytes_per_s=20))
        started = time.monotonic()
        head = talk(big, at_most=1)
        assert head.data
        while world.journal[-1].ended == "open":
            assert time.monotonic() - started < 5  # the client has gone; the fake notices at the next byte
        assert world.journal[-1].bytes_sent <= 40


class TestProtocol:
    @pytest.mark.fault(50, 84)
    def test_garbage(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Garbage("nonsense\r\n"))
        heard = talk(big, close=False)
        assert (heard.data, heard.end) == (b"nonsense\r\n", "fin")
        assert world.journal[-1].status is None
        with pytest.raises(requests.ConnectionError):
            requests.get(big, timeout=5)


class TestComposing:
    def test_in_the_order_they_were_added(self, world: World, big: str, content: bytes, talk: Talk) -> None:
        world.add("gateway1", faults.Corrupt(offset=3))
        world.add("gateway*", faults.RangeIgnored())
        world.add("*", faults.Truncate(offset=10))
        world.add("*", faults.Hang(seconds=0.1))
        heard = talk(big, "Range: bytes=5-")
        assert (heard.status, heard.end) == (200, "fin")
        assert heard.body == content[:3] + bytes([content[3] ^ 1]) + content[4:10]
        assert world.journal[-1].faults == ("corrupt", "range-ignored", "truncate", "hang")

    def test_the_last_word_is_the_last_faults(self, world: World, big: str, talk: Talk) -> None:
        world.add("gateway1", faults.Html())
        world.add("gateway1", faults.Status(500))
        assert talk(big).status == 500
        world.clear()
        world.add("gateway1", faults.Status(500))
        world.add("gateway1", faults.Stall(offset=0))
        heard = talk(big, timeout=0.1)
        assert (heard.status, heard.body, heard.end) == (500, b"", "silent")

    def test_gzip_does_not_wait_for_an_endless_body(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        world.add("gateway1", faults.Endless())
        world.add("gateway1", faults.Gzip())
        assert talk(big, at_most=100_000).body.startswith(content)

    def test_held_connections_do_not_disturb_others(
        self, world: World, big: str, content: bytes, talk: Talk
    ) -> None:
        """100 stalled, 100 healthy, at once."""
        world.add("gateway2", faults.Stall())
        stalled = big.replace(world.gateways[0], world.gateways[1])
        heard: list[bytes] = []
        threads = [
            threading.Thread(target=lambda url: heard.append(talk(url, timeout=1).body), args=(url,))
            for url in [stalled, big] * 100
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard.count(content) == 100
        assert heard.count(content[:20_000]) == 100


class TestProxies:
    @pytest.mark.fault(88)
    @pytest.mark.parametrize("target", ["http://x.invalid/ipfs/a", "x.invalid:443"])
    def test_407_to_either_way_of_asking_a_proxy(self, world: World, target: str) -> None:
        """RFC 9110 section 15.5.8: with a challenge."""
        world.add("gateway1", faults.ProxyAuth())
        method = "GET" if target.startswith("http") else "CONNECT"
        parts = urlsplit(world.gateways[0])
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: x.invalid\r\n\r\n".encode())
            heard = sock.recv(1 << 16)
        assert heard.startswith(b"HTTP/1.1 407 ")
        assert b'\r\nProxy-Authenticate: Basic realm="fakes"\r\n' in heard

    @pytest.mark.fault(88)
    def test_or_it_is_dead(self, world: World) -> None:
        world.add("gateway1", faults.Refused())
        parts = urlsplit(world.gateways[0])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((parts.hostname, parts.port), timeout=5)
