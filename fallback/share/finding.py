"""Looks for peers by mDNS, for a moment. Whoever answers is believed in nothing but that he may be asked.

Anybody on the network can answer anything. So of an answer only an address, a port and a prefix are used, and
each is checked: an address must be of this network and not of this machine (nobody makes all machines of a
network ask a host outside, or us ask our own services), and there are `MOST` at most. What they send is proven
as what everybody sends, and no token goes to them. Exclusions: nobody is asked for a file here.
"""

from __future__ import annotations

import ipaddress
import queue
import random
import re
import time
from typing import TYPE_CHECKING

from fallback.exchange import is_public
from fallback.share.announcing import OWN, SERVICE, VERSION

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
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}){0,4}")


def found(within_s: float, over: Callable[[], bool]) -> tuple[str, ...]:
    """URLs of peers that answer `within_s`, or until the run is `over`, in random order: all would ask the first else.

    Raises:
        ModuleNotFoundError: the extra `lan` is not installed.
        OSError: this machine has no network that can be asked.
    """
    from zeroconf import DNSQuestionType, IPVersion, ServiceBrowser, Zeroconf  # noqa: PLC0415 - of an extra

    heard: queue.Queue[str] = queue.Queue(HEARD)
    known: set[str] = set()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:  # noqa: ARG001 - by name
        if state_change.name == "Added" and name not in OWN | known and not heard.full():
            known.add(name)
            heard.put_nowait(name)

    asking = Zeroconf(ip_version=IPVersion.V4Only)
    try:
        # Twice: an answer to us alone may go to another process of this machine that listens to the same
        # port, and one to everybody waits for a second after the last (RFC 6762, 6).
        browsers = [
            ServiceBrowser(asking, SERVICE, handlers=[changed], question_type=kind)
            for kind in (None, DNSQuestionType.QM)
        ]
        urls = _until(asking, heard, time.monotonic() + within_s, over)
        for each in browsers:
            each.cancel()
    finally:
        asking.close()
    random.shuffle(urls)
    return tuple(urls)


def _until(asking: Zeroconf, heard: queue.Queue[str], ends_at: float, over: Callable[[], bool]) -> list[str]:
    urls: list[str] = []
    while len(urls) < MOST and (left := ends_at - time.monotonic()) > 0 and not over():
        try:
            name = heard.get(timeout=min(left, LOOK_S))
        except queue.Empty:
            continue
        url = _told_by(asking, name, left)
        if url is not None and url not in urls:
            urls.append(url)
            ends_at = min(ends_at, time.monotonic() + QUIET_S)
    return urls


def _told_by(asking: Zeroconf, name: str, left_s: float) -> str | None:
    from zeroconf import IPVersion  # noqa: PLC0415 - of an extra

    info = asking.get_service_info(SERVICE, name, timeout=max(1, int(1000 * min(left_s, QUIET_S))))
    if info is None:
        return None
    return url_of(info.parsed_addresses(IPVersion.V4Only), info.port, info.properties)


def url_of(addresses: Sequence[str], port: int | None, told: Mapping[bytes, bytes | None]) -> str | None:
    """Where the files are by such an answer; None if it is none that may be followed."""
    path = (told.get(b"path") or b"").decode("ascii", "replace")
    if told.get(b"version") != VERSION.encode() or not _PATH.fullmatch(path):
        return None
    if port is None or not 0 < port < 1 << 16:
        return None
    near = [each for each in addresses[:MOST] if _is_near(each)]
    return f"http://{near[0]}:{port}{path}" if near else None


def _is_near(address: str) -> bool:
    """Whether it is one host's, of this network, and not of this machine."""
    ip = ipaddress.ip_address(address)
    usable = not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_reserved)
    return usable and not is_public(address)
