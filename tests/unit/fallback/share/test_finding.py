"""What of an announcement may be followed, and what becomes of a run that cannot look for any."""

from __future__ import annotations

import ipaddress
import socket
import sys
from dataclasses import replace
from ipaddress import IPv6Network
from typing import TYPE_CHECKING

import pytest
import zeroconf
from zeroconf import IPVersion

from fallback.errors import SettingsError
from fallback.network import _found
from fallback.server.serving import _announced
from fallback.settings import Settings
from fallback.share import announcing as announcer
from fallback.share import finding
from fallback.share.announcing import announcing
from fallback.share.finding import url_of
from fallback.sources import Peer, in_order

if TYPE_CHECKING:
    from collections.abc import Callable

TOLD: dict[bytes, bytes | None] = {b"version": b"1", b"path": b"/gm"}


def test_an_address_of_this_network_is_followed() -> None:
    assert url_of(["192.168.1.10"], 8484, TOLD) == "http://192.168.1.10:8484/gm"
    assert url_of(["192.0.43.8", "10.0.0.5"], 80, {b"version": b"1"}) == "http://10.0.0.5:80"
    assert url_of(["169.254.7.7"], 80, {**TOLD, b"path": b""}) == "http://169.254.7.7:80"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.1.2.3", "0.0.0.0", "224.0.0.251", "255.255.255.255", "192.0.43.8", "240.0.0.1"],
)
def test_no_other_is(address: str) -> None:
    assert url_of([address], 8484, TOLD) is None


OWN = [IPv6Network("2001:db8:9::/64"), IPv6Network("fd09::/64")]


def test_an_address_of_ipv6_is_followed_where_it_is_of_this_network() -> None:
    assert url_of(["fd77::5"], 8484, TOLD) == "http://[fd77::5]:8484/gm"
    assert url_of(["2001:db8:9::5"], 8484, TOLD, OWN) == "http://[2001:db8:9::5]:8484/gm"
    assert url_of(["fe80::5", "fd09::5", "10.0.0.5"], 80, TOLD, OWN) == "http://[fd09::5]:80/gm"


@pytest.mark.parametrize(
    "address",
    [
        "2606:4700::1111",
        "2001:db8:8::5",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd09::1%eth0",
        "ff02::fb",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.5",
        "::10.0.0.5",
        "64:ff9b::10.0.0.5",
    ],
)
def test_no_other_of_ipv6_is(address: str) -> None:
    """None outside, of this machine, with a scope, or that is another address in disguise."""
    assert url_of([address], 8484, TOLD, OWN) is None


@pytest.mark.parametrize("port", [None, 0, -1, 65536])
def test_a_port_is_one(port: int | None) -> None:
    assert url_of(["10.0.0.5"], port, TOLD) is None


@pytest.mark.parametrize(
    "told",
    [
        {},
        {b"version": None, b"path": b""},
        {b"version": b"2", b"path": b""},
        {b"version": b"1", b"path": b"/.."},
        {b"version": b"1", b"path": b"/a?b"},
        {b"version": b"1", b"path": b"@elsewhere.example"},
        {b"version": b"1", b"path": b"/a b"},
        {b"version": b"1", b"path": b"/\xff"},
        {b"version": b"1", b"path": b"/" + b"a" * 200},
        {b"version": b"1", b"path": b"/a/b/c/d/e"},
    ],
)
def test_a_path_is_a_prefix_and_nothing_else(told: dict[bytes, bytes | None]) -> None:
    assert url_of(["10.0.0.5"], 8484, told) is None


def test_who_is_found_gets_no_token_and_no_name_that_is_known() -> None:
    """What is known of a source is not a stranger's to spoil; nor is one that is listed asked twice."""
    settings = Settings(
        peers=("http://10.0.0.5:8484",), peer_token="secret", gateways=("http://10.0.0.9:80",)
    )
    urls = ("http://10.0.0.5:8484", "http://10.0.0.9:80", "http://10.0.0.6:8484")
    sources = in_order(settings, urls)
    assert [source.name for source in sources[:-1]] == ["10.0.0.5:8484", "10.0.0.6:8484", "10.0.0.9:80"]
    assert [source.token for source in sources if isinstance(source, Peer)] == ["secret", None]


def test_without_the_extra_a_run_goes_on_and_a_server_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    warned: list[str] = []
    assert _found(lambda: False, warned.append) == ()
    assert warned == ["discover: zeroconf is not installed: pip install 'fallback[lan]'"]
    settings = Settings(share=True, discover=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(SettingsError, match=r"zeroconf is not installed"):
            _announced(settings, listening).__enter__()
        with _announced(replace(settings, share=False), listening):
            pass


def _refuse(_within_s: float, _over: Callable[[], bool]) -> tuple[str, ...]:
    raise OSError(101, "Network is unreachable")


def test_without_a_network_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "found", _refuse)
    warned: list[str] = []
    assert _found(lambda: False, warned.append) == ()
    assert warned == ["discover: no network can be asked for peers: Network is unreachable"]


def test_an_address_that_is_not_announced_is_said() -> None:
    """It would be an address of its own interface to whoever hears it."""
    warned: list[str] = []
    with announcing("fe80::1%lo", 8484, "/gm", warned.append):
        pass
    assert warned == ["mDNS: fe80::1%lo is not announced: it has no address that means the same to others"]


@pytest.mark.parametrize(
    ("host", "is_dual", "told"),
    [
        ("0.0.0.0", False, ["10.0.0.5"]),
        ("::", False, ["fd09::5", "2001:db8:9::5"]),
        ("::", True, ["10.0.0.5", "fd09::5", "2001:db8:9::5"]),
        ("fd09::5", False, ["fd09::5"]),
        ("::1", False, ["::1"]),
    ],
)
def test_what_is_told_is_where_the_server_listens(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_dual: bool,  # noqa: FBT001 - a case
    told: list[str],
) -> None:
    """No link-local address of IPv6, and none of loopback unless it listens there alone."""
    ours = ("127.0.0.1/8", "10.0.0.5/24", "::1/128", "fe80::5/64", "fd09::5/64", "2001:db8:9::5/64")
    monkeypatch.setattr(announcer, "links", lambda: [ipaddress.ip_interface(each) for each in ours])
    assert announcer._addresses(host, is_dual=is_dual) == told


def test_a_system_that_refuses_ipv6_is_asked_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[IPVersion] = []

    def refusing(ip_version: IPVersion) -> str:
        asked.append(ip_version)
        if ip_version is IPVersion.All:
            raise OSError(97, "Address family not supported by protocol")
        return "asking"

    monkeypatch.setattr(zeroconf, "Zeroconf", refusing)
    assert finding._asking(also_ipv6=True) == "asking"  # type: ignore[comparison-overlap]
    assert asked == [IPVersion.All, IPVersion.V4Only]
    finding._asking(also_ipv6=False)
    assert asked[2:] == [IPVersion.V4Only]
