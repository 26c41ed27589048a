"""A node that lies: what it shares goes through a server in front of it that turns a byte in each MiB.

`dask worker --preload` loads this in the node's process; the node's own files stay right.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fallback.fleet import sharing
from fallback.server.background import Background

if TYPE_CHECKING:
    from fallback import Settings

MIB = 1 << 20
PASSED = ("Content-Type", "Content-Length", "Content-Range", "ETag", "Accept-Ranges")


def dask_setup(_worker: Any) -> None:
    """What Dask calls in the worker's process."""
    vars(sharing)["Background"] = Liar


class Liar(Background):
    """The server of a node, and one in front of it that lies, whose URL is told."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.front = in_front_of(self.url)
        self.url = f"http://{self.front.server_address[0]!s}:{self.front.server_address[1]}"

    def close(self) -> None:
        self.front.shutdown()
        self.front.server_close()
        super().close()


def in_front_of(url: str) -> ThreadingHTTPServer:
    """A server at the same address that gives what `url` does, wrong."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = {
                name: value for name, value in self.headers.items() if name not in {"Host", "Connection"}
            }
            try:
                answer = opener.open(urllib.request.Request(url + self.path, headers=wanted), timeout=30)
            except urllib.error.HTTPError as error:
                self.send_error(error.code)
                return
            with answer:
                self.send_response(answer.status)
                for name in PASSED:
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # whoever has found it out goes away
                    while piece := bytearray(answer.read(MIB)):
                        piece[len(piece) // 2] ^= 1
                        self.wfile.write(piece)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer((urlsplit(url).hostname or "127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
