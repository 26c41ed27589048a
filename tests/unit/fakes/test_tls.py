"""TLS as a client sees it: which certificate is shown, where a handshake stops, and how a connection ends."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from fakes.certificates import Certificates
from fakes.faults import (
    AcceptClose,
    Expired,
    HandshakeDrip,
    HandshakeStall,
    Reset,
    SelfSigned,
    Status,
    TlsEof,
    WrongHost,
)
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.faults import Fault

SIZE = 200_000
MODELS: dict[str, Any] = {"tiny": {"files": {"model.onnx": {"size": SIZE}}}}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", gateways=1, https=True) as world:
        yield world


def url(world: World) -> str:
    return f"{world.gateways[0]}/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/model.onnx"


def connected(world: World) -> socket.socket:
    parts = urlsplit(world.gateways[0])
    return socket.create_connection((parts.hostname, parts.port), timeout=5)


def believing(world: World) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=world.ca)


def secured(world: World, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    context = context or believing(world)
    return context.wrap_socket(connected(world), server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def get(world: World, sock: ssl.SSLSocket) -> bytes:
    """Send a GET; everything up to the connection's end, which raises if it comes without a goodbye."""
    path = urlsplit(url(world)).path
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    data = b""
    while part := sock.recv(1 << 16):
        data += part
    return data


def exhaust(sock: socket.socket, take: Callable[[bytes], Any] = len) -> None:
    """Give everything that comes to `take`, up to the end or an error."""
    while part := sock.recv(1 << 16):
        take(part)


def certificate(world: World) -> x509.Certificate:
    """The one that is shown, whatever it is worth."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with secured(world, context) as sock:
        shown = sock.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown)


class TestHealthy:
    def test_the_file_comes_and_the_connection_ends_with_a_goodbye(self, world: World) -> None:
        """`recv` returns nothing after close_notify; without one it would raise."""
        with secured(world) as sock:
            head, _, body = get(world, sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert len(body) == SIZE
        entry = world.journal[-1]
        assert (entry.bytes_sent, entry.ended) == (SIZE, "complete")

    def test_a_connection_serves_several_requests(self, world: World) -> None:
        path = urlsplit(url(world)).path
        with secured(world) as sock:
            for _ in range(3):
                sock.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        assert len(world.journal) == 3

    def test_the_client_s_goodbye_is_heard(self, world: World) -> None:
        with secured(world) as sock:
            plain = sock.unwrap()
            assert plain.recv(1) == b""

    def test_urls_and_environment_say_https(self, world: World) -> None:
        assert all(each.startswith("https://127.0.0.1:") for each in world.urls.values())
        told = world.environment()
        assert told["FALLBACK_CA_BUNDLE"] == told["REQUESTS_CA_BUNDLE"] == str(world.ca)

    def test_the_control_api_speaks_http(self, world: World) -> None:
        assert world.control.startswith("http://")

    def test_the_ca_is_gone_with_its_world(self) -> None:
        with World(MODELS, size="full", gateways=1, https=True) as world:
            assert world.ca is not None
            assert world.ca.exists()
        assert not world.ca.exists()

    def test_plain_http_gets_an_alert_and_an_end(self, world: World) -> None:
        with connected(world) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            data = bytearray()
            exhaust(sock, data.extend)
        assert b"HTTP" not in data

    def test_garbage_and_silence_before_the_handshake_cost_nothing(self, world: World) -> None:
        with connected(world), connected(world) as garbage:
            garbage.sendall(bytes(range(256)) * 40)
            with secured(world) as sock:
                assert get(world, sock)


class TestCertificates:
    @pytest.mark.fault(9)
    def test_self_signed(self, world: World) -> None:
        world.add("gateway1", SelfSigned())
        shown = certificate(world)
        assert shown.issuer == shown.subject
        self._refused(world, "self-signed certificate")

    @pytest.mark.fault(9)
    def test_of_a_ca_that_nobody_knows(self, world: World) -> None:
        world.add("gateway1", SelfSigned(kind="unknown-ca"))
        shown = certificate(world)
        assert shown.issuer != shown.subject
        self._refused(world, "unable to get local issuer certificate")

    @pytest.mark.fault(10)
    @pytest.mark.parametrize("fault", [WrongHost(), WrongHost(kind="only-common-name")], ids=str)
    def test_another_host_s(self, world: World, fault: Fault) -> None:
        world.add("gateway1", fault)
        names = certificate(world).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["other.example"]
        self._refused(world, "IP address mismatch")

    @pytest.mark.fault(10)
    def test_the_common_name_may_be_ours(self, world: World) -> None:
        world.add("gateway1", WrongHost(kind="only-common-name"))
        [name] = certificate(world).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert name.value == "127.0.0.1"

    @pytest.mark.fault(11)
    def test_out_of_date(self, world: World) -> None:
        world.add("gateway1", Expired())
        assert certificate(world).not_valid_after_utc < dt.datetime.now(dt.UTC)
        self._refused(world, "certificate has expired")

    @pytest.mark.fault(11)
    def test_not_good_yet(self, world: World) -> None:
        world.add("gateway1", Expired(kind="not-yet"))
        assert certificate(world).not_valid_before_utc > dt.datetime.now(dt.UTC)
        self._refused(world, "certificate is not yet valid")

    def test_a_good_one_again_when_the_fault_is_over(self, world: World) -> None:
        world.add("gateway1", SelfSigned(), first=1)
        self._refused(world, "self-signed")
        with secured(world) as sock:
            assert get(world, sock)

    def test_a_client_that_does_not_look_is_in_the_journal(self, world: World) -> None:
        world.add("gateway1", Expired())
        certificate(world)
        assert (world.journal[-1].faults, world.journal[-1].ended) == (("expired",), "complete")

    def test_the_same_context_each_time(self, tmp_path: Path) -> None:
        certificates = Certificates(tmp_path)
        assert certificates.context("expired") is certificates.context("expired")
        assert [each.name for each in tmp_path.iterdir()] == ["ca.pem"]
        assert b"PRIVATE" not in certificates.ca.read_bytes()

    def _refused(self, world: World, why: str) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match=why):
            secured(world)


class TestHandshake:
    def hello(self, world: World) -> tuple[socket.socket, ssl.SSLObject, ssl.MemoryBIO]:
        """A connection on which a ClientHello was sent."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = believing(world).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock = connected(world)
        sock.sendall(outgoing.read())
        return sock, tls, incoming

    def flight(self, world: World, *, quiet_s: float) -> bytes:
        """What comes back until it is quiet for so long."""
        sock, _, _ = self.hello(world)
        data = b""
        with sock:
            sock.settimeout(quiet_s)
            try:
                while part := sock.recv(1 << 16):
                    data += part
            except TimeoutError:
                return data
        pytest.fail("the connection was closed")

    @pytest.mark.fault(13)
    def test_no_server_hello(self, world: World) -> None:
        world.add("gateway1", HandshakeStall())
        assert self.flight(world, quiet_s=0.2) == b""
        assert world.journal[-1].faults == ("handshake-stall",)

    @pytest.mark.fault(13)
    @pytest.mark.parametrize(
        ("fault", "part"), [(HandshakeStall(offset=None), 0.5), (HandshakeStall(offset=7), 0)]
    )
    def test_a_part_of_it(self, world: World, fault: Fault, part: float) -> None:
        whole = len(self.flight(world, quiet_s=0.2))
        world.add("gateway1", fault)
        heard = len(self.flight(world, quiet_s=0.2))
        # A signature's length varies by a few bytes.
        assert abs(heard - (part * whole or 7)) < 8

    @pytest.mark.fault(13)
    def test_all_but_the_last_byte(self, world: World) -> None:
        world.add("gateway1", HandshakeStall(offset=-1))
        sock, tls, incoming = self.hello(world)
        with sock:
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                exhaust(sock, incoming.write)
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()

    @pytest.mark.fault(13)
    def test_byte_by_byte_it_gets_there(self, world: World) -> None:
        world.add("gateway1", HandshakeDrip(interval_s=0.0001))
        with secured(world) as sock:
            assert get(world, sock)
        assert world.journal[0].faults == ("handshake-drip",)

    @pytest.mark.fault(13)
    def test_or_would_in_minutes(self, world: World) -> None:
        world.add("gateway1", HandshakeDrip(interval_s=0.1))
        sock, _, _ = self.hello(world)
        with sock:
            began = time.monotonic()
            assert [len(sock.recv(1 << 16)) for _ in range(4)] == [1, 1, 1, 1]
            assert time.monotonic() - began > 0.25

    def test_an_interval_is_more_than_nothing(self) -> None:
        with pytest.raises(ValueError, match="interval_s is more than 0"):
            HandshakeDrip(interval_s=0)


class TestEnds:
    @pytest.mark.fault(12)
    @pytest.mark.parametrize("framing", ["length", "close"])
    def test_a_fin_without_a_goodbye(self, world: World, framing: Any) -> None:
        """With framing by close nothing else tells the cut from the end."""
        world.add("gateway1", TlsEof(offset=50_000, framing=framing))
        received = bytearray()
        with secured(world) as sock:
            sock.sendall(f"GET {urlsplit(url(world)).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with pytest.raises(ssl.SSLEOFError):
                exhaust(sock, received.extend)
        head, _, body = received.partition(b"\r\n\r\n")
        assert len(body) == 50_000
        assert (b"\r\ncontent-length:" in head.lower()) == (framing == "length")
        assert (world.journal[-1].ended, world.journal[-1].bytes_sent) == ("truncated", 50_000)

    def test_a_reset_is_one(self, world: World) -> None:
        """Seen below TLS: OpenSSL may call it an end."""
        world.add("gateway1", Reset(offset=50_000))
        sock = secured(world)
        sock.sendall(f"GET {urlsplit(url(world)).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with socket.socket(fileno=sock.detach()) as below:
            below.settimeout(5)
            with pytest.raises(ConnectionResetError):
                exhaust(below)

    def test_what_comes_before_tls_comes_before_it(self, world: World) -> None:
        world.add("gateway1", AcceptClose())
        with connected(world) as sock:
            assert sock.recv(1) == b""

    def test_a_status_is_one(self, world: World) -> None:
        world.add("gateway1", Status(status=418))
        with secured(world) as sock:
            assert get(world, sock).startswith(b"HTTP/1.1 418")


def test_a_fault_of_tls_needs_tls() -> None:
    with World(MODELS, size="full", gateways=1) as world:
        with pytest.raises(ValueError, match="self-signed: needs a world with https"):
            world.add("gateway1", SelfSigned())
        assert not {name for name in world.environment() if "CA" in name.split("_")}
