"""Connections whose every phase is under watch: name resolution, TCP, TLS, headers, body.

urllib3's own connection classes, with four differences: names are resolved in a thread that may be
abandoned (a resolver cannot be interrupted), the budget for connecting covers all addresses and the
TLS handshake together, the socket is shown to the current exchange's `Watch`, and the watch is told
of each single receive: a read of a MiB may take a slow source a minute. Exclusions: no request is
made here (`transport`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import ipaddress
import socket
import threading
import time
from http.client import HTTPException, HTTPResponse, parse_headers
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fallback.errors import StorageError
from fallback.outcome import Failed, Malformed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.watchdog import Watch

_current = threading.local()
PRIVATE = "redirect refused: from a public host to a private address"

Address = tuple[Any, Any, int, str, Any]
"""One answer of `socket.getaddrinfo`."""


@contextlib.contextmanager
def under(watch: Watch) -> Iterator[None]:
    """Connections this thread opens or reuses belong to `watch`."""
    _current.watch = watch
    try:
        yield
    finally:
        _current.watch = None


def resolve(host: str, port: int, watch: Watch) -> list[Address]:
    """The addresses of `host`, IPv6 and IPv4 as the system orders them.

    Raises:
        Failed: Unreachable, when the name does not resolve or the watch was killed meanwhile.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    answer: list[list[Address] | OSError] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            answer.append(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answer.append(error if isinstance(error, OSError) else OSError(str(error)))
        done.set()

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    while not done.wait(0.05):
        if watch.killed:
            raise Failed(Unreachable(f"the name {host} was not resolved: {watch.killed}"))
    if isinstance(answer[0], OSError):
        raise Failed(Unreachable(f"the name {host} does not resolve: {answer[0].strerror or answer[0]}"))
    return answer[0]


def spelled(host: str) -> str:
    """The address that `host` is in itself, in every way that resolvers read one (127.1, 0x7f000001); "" for a name."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host))
    with contextlib.suppress(OSError, UnicodeError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return ""


def connect(
    host: str, port: int, watch: Watch, permitted: Callable[[str], bool] | None = None
) -> socket.socket:
    """A TCP connection to the first address that answers, of those `permitted`; each gets its share of the budget.

    Raises:
        Failed: Unreachable, with the last address's reason; Malformed, if none of them is permitted.
    """
    addresses = [
        each for each in resolve(host, port, watch) if permitted is None or permitted(str(each[4][0]))
    ]
    if not addresses:
        raise Failed(Malformed(PRIVATE))
    ends_at = time.monotonic() + watch.limits.connect_s
    reason = "it has no address"
    for index, (family, kind, protocol, _name, address) in enumerate(addresses):
        try:
            sock = socket.socket(family, kind, protocol)  # the kernel may lack this family
        except OSError as error:
            _check_limits(error)
            reason = error.strerror or str(error)
            continue
        try:
            watch.attach(sock)
            sock.settimeout(max(0.05, (ends_at - time.monotonic()) / (len(addresses) - index)))
            sock.connect(address)
        except OSError as error:
            sock.close()
            _check_limits(error)
            reason = watch.killed or error.strerror or str(error)
            if watch.killed:
                break
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)  # from here on the watchdog keeps the time
        watch.peer = address[0]
        return sock
    raise Failed(Unreachable(f"no connection to {host}: {reason}"))


def _check_limits(error: OSError) -> None:
    """No more open files: that is this machine's, and says nothing of the source."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        raise StorageError(Path("/dev/fd"), f"{error.strerror}: raise `ulimit -n`, or lower jobs") from error


class FloodError(HTTPException):
    """Far more came than the body: framing without end."""


class _Told(io.RawIOBase):
    """A socket's file that tells the watch of each receive: when it begins, and what it brought."""

    def __init__(self, raw: io.RawIOBase, watch: Watch) -> None:
        self._raw, self._watch = raw, watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._watch.is_flooded:
            raise FloodError
        self._watch.reading()
        try:
            count: int | None = self._raw.readinto(buffer)
        except OSError as error:
            if self._watch.phase != "body":
                raise
            # An end, not an error: a buffered read that fails throws away what it had received.
            self._watch.broke, count = error, 0
        self._watch.received(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """http.client's response, read through `_Told`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_Told(self.fp.detach(), _current.watch))

    def _read_status(self) -> tuple[str, int, str]:
        """The final status: http.client skips 100 but takes a 103 for the answer (RFC 9110, 15.2; fault 29)."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
            if not 101 < status < 200:
                _current.watch.status = status
                return version, status, reason
            parse_headers(self.fp)


class _Watched(HTTPConnection):
    """What both kinds of connection do; http.client calls these in the order of their lines."""

    response_class = _Response
    _fresh = False

    def _new_conn(self) -> socket.socket:
        watch, port = _current.watch, self.port or self.default_port
        if self.proxy is None:
            return connect(self._dns_host, port, watch, watch.limits.permitted)
        self._meet(watch, spelled(watch.host))
        try:
            sock = connect(self._dns_host, port, watch)
        except Failed as failed:
            raise Failed(Unreachable(f"the proxy: {failed.outcome.reason}")) from failed
        self._meet(watch, spelled(watch.host))
        return sock

    def connect(self) -> None:
        super().connect()
        self._fresh = True

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        watch = _current.watch
        if self.sock is not None:
            watch.attach(self.sock)
            watch.reused = not self._fresh
            self._meet(watch, spelled(watch.host) if self.proxy else self.sock.getpeername()[0])
        super().putrequest(*args, **kwargs)

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except OSError as error:
            match _current.watch.status:
                case None:
                    raise
                case 407:
                    raise Failed(
                        Unreachable("the proxy wants a user name and a password (407)", lasting=True)
                    ) from error
                case status:
                    raise Failed(Unreachable(f"the proxy does not connect us ({status})")) from error

    @staticmethod
    def _meet(watch: Watch, peer: str) -> None:
        """Whom the request goes to in the end, as far as is known here: a proxy is only on the way."""
        watch.peer = peer
        if watch.limits.permitted is not None and not watch.limits.permitted(peer):
            raise Failed(Malformed(PRIVATE))

    def getresponse(self) -> Any:
        _current.watch.enter("head")
        self._fresh = False
        return super().getresponse()


class _WatchedTLS(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class WatchedAdapter(HTTPAdapter):
    """requests' adapter over watched connections, for direct and proxied requests alike."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does it, with our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does it, with our pools."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if not manager.proxy or not str(manager.proxy.scheme).startswith("socks"):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}
        return manager
