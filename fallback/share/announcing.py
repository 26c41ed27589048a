"""Tells this network by mDNS (`SERVICE`) that files are shared here.

What is told: address, port, the version of these rules and the prefix; no name of this machine, model or
person, and no secret. The instance's name is random, so nobody has to be asked whether it is free. Told over
IPv4, for as long as the server runs. Exclusions: who may have files is `server.guard`'s.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zeroconf import Zeroconf

SERVICE = "_fallback-models._tcp.local."
VERSION = "1"
"""Of `/files/sha256/…` as it is served; another one is not asked."""

OWN: set[str] = set()
"""Names under which this process tells of itself: it is no peer of its own."""


@contextlib.contextmanager
def announcing(host: str, port: int, path: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Tell of the server at `host` and `port` while this lasts; what keeps it from being told is warned of.

    It is told in a thread of its own: a server does not wait for its network.

    Raises:
        ModuleNotFoundError: the extra `lan` is not installed.
    """
    import zeroconf  # noqa: F401, PLC0415 - of an extra; here, so that its absence is known at once

    opened: list[Zeroconf] = []
    thread = threading.Thread(target=_tell, args=(host, port, path, warn, opened), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        for each in opened:
            with contextlib.suppress(OSError, TimeoutError):  # a network that is gone hears no farewell
                each.unregister_all_services()
            each.close()


def _tell(host: str, port: int, path: str, warn: Callable[[str], None], opened: list[Zeroconf]) -> None:
    from zeroconf import InterfaceChoice, IPVersion, ServiceInfo, Zeroconf  # noqa: PLC0415 - of an extra

    address = ipaddress.ip_address(host)
    if address.version != 4:
        warn(f"mDNS: {host} is not announced, only IPv4 addresses are")
        return
    name = secrets.token_hex(8)
    try:
        addresses = _addresses() if address.is_unspecified else [host]
        told = Zeroconf(
            interfaces=InterfaceChoice.All if address.is_unspecified else [host], ip_version=IPVersion.V4Only
        )
        opened.append(told)
        info = ServiceInfo(
            SERVICE,
            f"{name}.{SERVICE}",
            port=port,
            properties={"version": VERSION, "path": path},
            server=f"{name}.local.",
            parsed_addresses=addresses,
        )
        OWN.add(info.name)
        told.register_service(info, cooperating_responders=True)
    except OSError as error:
        warn(f"mDNS: the shared files are not announced: {error.strerror or type(error).__name__}")


def _addresses() -> list[str]:
    """This machine's IPv4 addresses that others can reach."""
    from ifaddr import get_adapters  # noqa: PLC0415 - comes with zeroconf

    found = [str(each.ip) for adapter in get_adapters() for each in adapter.ips if each.is_IPv4]
    return [each for each in found if not ipaddress.ip_address(each).is_loopback]
