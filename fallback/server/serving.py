"""Runs the server: binds, says where, and ends in good order.

On SIGTERM or SIGINT the clients that watch are let go with the reason, the runs are stopped (what has
come is kept for the next one), answers under way are finished, and all of that takes `PATIENCE_S` at
most. Exclusions: no worker processes, no reloading, no access log.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn
from anyio.to_thread import current_default_thread_limiter

from fallback import report
from fallback.engine import load_manifest
from fallback.errors import SettingsError
from fallback.server.app import Api, application
from fallback.server.connection import HttpConnection, WatchConnection
from fallback.server.feed import Feed
from fallback.server.files import FOLDER, Files
from fallback.server.guard import HEADER_BYTES, Door
from fallback.server.prometheus import Prometheus
from fallback.server.revalidating import revalidating
from fallback.server.runs import Runs
from fallback.share.announcing import announcing
from fallback.share.arriving import Arrivals
from fallback.share.shelf import Shelf, rows_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.settings import Settings

PATIENCE_S = 5.0
THREADS = 4
"""Questions to the disk at a time. One under way cannot be interrupted, and the process ends after it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MESSAGE_BYTES = 4096
"""The largest message of a WebSocket client: nothing needs to be said."""


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until a signal comes; `started` is told the page's URL once it can be asked for.

    Raises:
        SettingsError: it listens beyond this machine, no token is set and no files are shared; or the address
            cannot be had.
    """
    if not is_local(settings) and settings.serve_token is None and not settings.share:
        raise SettingsError(
            f"serve_host: {settings.serve_host} can be reached from other machines, so serve_token must be set"
        )
    with (
        contextlib.closing(bound(settings)) as listening,
        revalidating(settings),
        _announced(settings, listening),
    ):
        asyncio.run(_serve(settings, listening, started))


async def _serve(settings: Settings, listening: socket.socket, started: Callable[[str], None]) -> None:
    server, _ = served(settings)
    await server.listen(listening, lambda: started(f"{origin_of(listening)}{settings.base_url}/"))


def origin_of(listening: socket.socket) -> str:
    """The URL of what listens there, without a path."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def served(settings: Settings) -> tuple[Server, Prometheus]:
    """The server of the loop that runs here, and what counts its runs for `/metrics`."""
    few_threads()
    feed = Feed(asyncio.get_running_loop(), limit=settings.serve_clients)
    prometheus = Prometheus(lambda: report.sources(settings), lambda: feed.clients)
    runs = Runs(settings, feed, prometheus)
    prefix, local = settings.base_url, is_local(settings)
    door = Door(
        token=settings.serve_token,
        names=frozenset(settings.serve_names),
        local=local,
        open_paths=frozenset({"/healthz", f"{prefix}/healthz", f"{prefix}/"}),
        files=(FOLDER, f"{prefix}{FOLDER}") if settings.share else (),
        files_token=settings.share_token,
    )
    # Whoever shares files with a network, and has set no token for the rest, shares them and nothing else.
    is_alone = not local and settings.serve_token is None
    config = uvicorn.Config(
        application(
            Api(settings, runs, feed, prometheus), door, _files(settings, prometheus.gave), is_alone=is_alone
        ),
        http=HttpConnection,  # of h11, which bounds a request's head; httptools does not
        h11_max_incomplete_event_size=4 * HEADER_BYTES,
        ws=WatchConnection,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,  # costs more than loopback does
        lifespan="off",
        log_config=None,
        log_level="critical",  # what a client does wrong is its own to know; a mistake of ours is told by `guard`
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=2 * settings.serve_clients,
        timeout_graceful_shutdown=2,
    )
    return Server(config, feed, runs), prometheus


def is_local(settings: Settings) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(settings.serve_host).is_loopback


@contextlib.contextmanager
def _announced(settings: Settings, listening: socket.socket) -> Iterator[None]:
    """The server is told of to its network, if it shares files and may be found."""
    host, port = listening.getsockname()[:2]
    with contextlib.ExitStack() as entered:
        if settings.share and settings.discover:
            try:
                told = announcing(host, port, settings.base_url, report.warn, is_dual=_is_dual(listening))
                entered.enter_context(told)
            except ModuleNotFoundError as error:
                what = f"{error.name} is not installed: pip install 'fallback[lan]'"
                raise SettingsError(f"discover: {what}") from None
        yield


def _is_dual(listening: socket.socket) -> bool:
    """Whether it takes connections over IPv6 and IPv4."""
    if (
        listening.family != socket.AF_INET6
        or not ipaddress.ip_address(listening.getsockname()[0]).is_unspecified
    ):
        return False
    return not listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _files(settings: Settings, gave: Callable[[int], None]) -> Files | None:
    """What is given to other machines; None: nothing."""
    if not settings.share:
        return None
    shelf = Shelf(settings.models_dir, rows_in(settings.state_path, report.warn))
    arrivals = Arrivals(settings.models_dir, lambda: load_manifest(settings))
    return Files(lambda sha256: shelf.take(sha256) or arrivals.take(sha256), settings.share_transfers, gave)


def few_threads() -> None:
    """Let `THREADS` of this loop's questions at the disk; the others wait where they can be let go."""
    current_default_thread_limiter().total_tokens = THREADS


class Server(uvicorn.Server):
    """uvicorn's server, which ends with 0 and not with the signal, and stops the runs before it waits."""

    def __init__(self, config: uvicorn.Config, feed: Feed, runs: Runs) -> None:
        super().__init__(config)
        self._feed, self._runs = feed, runs
        self._started: Callable[[], None] = lambda: None

    async def listen(self, listening: socket.socket, started: Callable[[], None]) -> None:
        """Serve on this socket until a signal comes."""
        self._started = started
        await self.serve(sockets=[listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so."""
        await super().startup(sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is under way, then the connections."""
        stopping = asyncio.create_task(asyncio.to_thread(self._runs.close, PATIENCE_S))
        await self._feed.close()
        await stopping
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A second signal ends the process as it would any other; in a thread (`background`) none is ours."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def end() -> None:
            self.should_exit = True
            for each in SIGNALS:
                loop.remove_signal_handler(each)

        for each in SIGNALS:
            loop.add_signal_handler(each, end)
        yield


def bound(settings: Settings) -> socket.socket:
    """A socket at the address and port of the settings; SettingsError if it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.serve_host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.serve_host, settings.serve_port))
    except OSError as error:
        listening.close()
        where = f"{settings.serve_host} port {settings.serve_port}"
        raise SettingsError(f"serve_port: cannot listen on {where}: {error.strerror}") from None
    return listening
