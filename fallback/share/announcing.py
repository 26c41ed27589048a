"""Tells this network by mDNS (`SERVICE`) that files are shared here.

What is told: address, port, the version of these rules and the prefix; no name of this machine, model or
person, and no secret. The instance's name is random, so nobody has to be asked whether it is free. Told over
IPv4 and IPv6, as the server listens, for as long as it runs. Exclusions: who may have files is `server.guard`'s;
a link-local address of IPv6 is not told, for it means nothing without an interface of whoever hears it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zeroconf import ServiceInfo, Zeroconf

SERVICE = "_fallback-models._tcp.local."
VERSION = "1"
"""Of `/files/sha256/…` as it is served; another one is not asked."""

OWN: set[str] = set()
"""Names under which this process tells of itself: it is no peer of its own."""


@contextlib.contextmanager
def announcing(
    host: str, port: int, path: str, warn: Callable[[str], None], *, is_dual: bool = False
) -> Iterator[None]:
    """Tell of the server at `host` and `port` while this lasts; what keeps it from being told is warned of.

    `is_dual`: it is `::`, and takes connections over IPv4, too. It is told in a thread of its own: a server does not wait for its network.

    Raises:
        ModuleNotFoundError: the extra `lan` is not installed.
    """
    from zeroconf import ServiceInfo  # noqa: PLC0415 - of an extra; here, so that its absence is known at once

    addresses = _addresses(host, is_dual=is_dual)
    if not addresses:
        warn(f"mDNS: {host} is not announced: it has no address that means the same to others")
        yield
        return
    name = secrets.token_hex(8)
    info = ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=port,
        properties={"version": VERSION, "path": path},
        server=f"{name}.local.",
        parsed_addresses=addresses,
    )
    opened: list[Zeroconf] = []
    thread = threading.Thread(target=_tell, args=(info, host, warn, opened), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        for each in opened:
            with contextlib.suppress(OSError, TimeoutError):  # a network that is gone hears no farewell
                each.unregister_all_services()
            each.close()


def _tell(info: ServiceInfo, host: str, warn: Callable[[str], None], opened: list[Zeroconf]) -> None:
    from zeroconf import InterfaceChoice, IPVersion, Zeroconf  # noqa: PLC0415 - of an extra

    over = {4: IPVersion.V4Only, 6: IPVersion.V6Only, 10: IPVersion.All}
    versions = {ipaddress.ip_address(each).version for each in info.parsed_addresses()}
    is_everywhere = ipaddress.ip_address(host).is_unspecified
    try:
        told = Zeroconf(
            interfaces=InterfaceChoice.All if is_everywhere else [host], ip_version=over[sum(versions)]
        )
        opened.append(told)
        OWN.add(info.name)
        told.register_service(info, cooperating_responders=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no interface has the address any more
        why = getattr(error, "strerror", None) or type(error).__name__
        warn(f"mDNS: the shared files are not announced: {why}")


def _addresses(host: str, *, is_dual: bool) -> list[str]:
    """Where others can reach what listens at `host`: addresses that mean the same to them."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return [] if address.version == 6 and address.is_link_local else [host]
    usable = [each.ip for each in links() if not each.ip.is_loopback]
    versions = {4, 6} if is_dual else {address.version}
    return [
        str(each)
        for each in usable
        if each.version in versions and not (each.version == 6 and each.is_link_local)
    ]


def links() -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    """This machine's addresses, each with the network it is in."""
    from ifaddr import get_adapters  # noqa: PLC0415 - comes with zeroconf

    found = [each for adapter in get_adapters() for each in adapter.ips]
    # Of IPv6 a tuple: address, flow, scope.
    return [
        ipaddress.ip_interface(f"{each.ip if isinstance(each.ip, str) else each.ip[0]}/{each.network_prefix}")
        for each in found
    ]
