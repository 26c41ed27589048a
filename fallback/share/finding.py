"""Looks for peers by mDNS, for a moment. Whoever answers is believed in nothing but that he may be asked.

Anybody on the network can answer anything. So of an answer only an address, a port and a prefix are used, and
each is checked: an address must be of this network and not of this machine (nobody makes all machines of a
network ask a host outside, or us ask our own services), and there are `MOST` at most. Over IPv6 that is a unique
local address, or one in a network that this machine is in; one that needs a scope is none. What they send is proven
as what everybody sends, and no token goes to them. Exclusions: nobody is asked for a file here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import random
import re
import time
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from fallback.exchange import is_public
from fallback.share.announcing import OWN, SERVICE, VERSION, links

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zeroconf import ServiceStateChange, Zeroconf

MOST = 8
"""Peers at most: one that is dead costs an attempt."""

HEARD = 4 * MOST
"""Answers at most that are looked at."""

QUIET_S = 0.3
"""Once somebody has answered, and nobody else did for so long, no other is waited for (RFC 6762, 6: 20 to 120 ms)."""

LOOK_S = 0.05

UNIQUE_LOCAL = IPv6Network("fc00::/7")
GLOBAL = IPv6Network("2000::/3")
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}){0,4}")


def found(within_s: float, over: Callable[[], bool]) -> tuple[str, ...]:
    """URLs of peers that answer `within_s`, or until the run is `over`, in random order: all would ask the first else.

    Raises:
        ModuleNotFoundError: the extra `lan` is not installed.
        OSError: this machine has no network that can be asked.
    """
    from zeroconf import DNSQuestionType, ServiceBrowser  # noqa: PLC0415 - of an extra

    heard: queue.Queue[str] = queue.Queue(HEARD)
    known: set[str] = set()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:  # noqa: ARG001 - by name
        if state_change.name == "Added" and name not in OWN | known and not heard.full():
            known.add(name)
            heard.put_nowait(name)

    own = [each.network for each in links() if each.version == 6 and _is_of_ipv6(each.ip)]
    asking = _asking(also_ipv6=bool(own))
    try:
        # Twice: an answer to us alone may go to another process of this machine that listens to the same
        # port, and one to everybody waits for a second after the last (RFC 6762, 6).
        browsers = [
            ServiceBrowser(asking, SERVICE, handlers=[changed], question_type=kind)
            for kind in (None, DNSQuestionType.QM)
        ]
        urls = _until(asking, heard, time.monotonic() + within_s, over, own)
        for each in browsers:
            each.cancel()
    finally:
        asking.close()
    random.shuffle(urls)
    return tuple(urls)


def _asking(*, also_ipv6: bool) -> Zeroconf:
    """What asks: over IPv4, and over IPv6 where this machine has an address that others could answer to."""
    from zeroconf import IPVersion, Zeroconf  # noqa: PLC0415 - of an extra

    if also_ipv6:
        with contextlib.suppress(OSError):  # a system may refuse a socket for both
            return Zeroconf(ip_version=IPVersion.All)
    return Zeroconf(ip_version=IPVersion.V4Only)


def _until(
    asking: Zeroconf,
    heard: queue.Queue[str],
    ends_at: float,
    over: Callable[[], bool],
    own: Sequence[IPv6Network],
) -> list[str]:
    urls: list[str] = []
    while len(urls) < MOST and (left := ends_at - time.monotonic()) > 0 and not over():
        try:
            name = heard.get(timeout=min(left, LOOK_S))
        except queue.Empty:
            continue
        url = _told_by(asking, name, left, own)
        if url is not None and url not in urls:
            urls.append(url)
            ends_at = min(ends_at, time.monotonic() + QUIET_S)
    return urls


def _told_by(asking: Zeroconf, name: str, left_s: float, own: Sequence[IPv6Network]) -> str | None:
    from zeroconf import IPVersion  # noqa: PLC0415 - of an extra

    info = asking.get_service_info(SERVICE, name, timeout=max(1, int(1000 * min(left_s, QUIET_S))))
    if info is None:
        return None
    return url_of(info.parsed_addresses(IPVersion.All), info.port, info.properties, own)


def url_of(
    addresses: Sequence[str],
    port: int | None,
    told: Mapping[bytes, bytes | None],
    own: Sequence[IPv6Network] = (),
) -> str | None:
    """Where the files are by such an answer; None if it is none that may be followed. `own`: networks we are in."""
    path = (told.get(b"path") or b"").decode("ascii", "replace")
    if told.get(b"version") != VERSION.encode() or not _PATH.fullmatch(path):
        return None
    if port is None or not 0 < port < 1 << 16:
        return None
    near = [each for each in addresses[:MOST] if _is_near(each, own)]
    if not near:
        return None
    return f"http://[{near[0]}]:{port}{path}" if ":" in near[0] else f"http://{near[0]}:{port}{path}"


def _is_near(address: str, own: Sequence[IPv6Network]) -> bool:
    """Whether it is one host's, of this network, and not of this machine."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, IPv6Address):
        return _is_of_ipv6(ip) and (ip in UNIQUE_LOCAL or any(ip in each for each in own))
    usable = not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_reserved)
    return usable and not is_public(address)


def _is_of_ipv6(ip: IPv6Address) -> bool:
    """Whether it is an address that means one host wherever it is said: no other form of IPv6 is (RFC 4291, 4193)."""
    return ip.scope_id is None and (ip in UNIQUE_LOCAL or ip in GLOBAL)
