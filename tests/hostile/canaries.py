"""Canaries: what is secret, a server that hands it back, and the search for it in what is said and kept."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TOKEN, JWT, KEY, SECRET = "hf_canaryA1", "eyJcanaryA2.x.y", "canaryA3", "canaryA4"
PROXY, SIGNED, PEER = "canaryA5", "canaryA6", "canaryA8"
SHA256 = "0" * 64
FILES = 14

ECHOES = [
    "{0}\r\n\r\n",
    "HTTP/1.1 {0} OK\r\n\r\n",
    "HTTP/1.1 200 {0}\r\nContent-Length: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: {0}\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n",
    'HTTP/1.1 200 OK\r\nETag: "{0}"\r\nContent-Length: 1\r\n\r\ny',
    "HTTP/1.1 206 OK\r\nContent-Range: bytes {0}\r\nContent-Length: 1\r\n\r\ny",
    "HTTP/1.1 429 OK\r\nRetry-After: {0}\r\nRateLimit: {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 OK\r\n\r\n{0}",
    "HTTP/1.1 418 {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 {0}\r\nWWW-Authenticate: {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: http://{0}.invalid/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: http://exa%00mple/?{0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: {0}://x/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: /{0}\r\nContent-Length: 0\r\n\r\n",
    'HTTP/1.1 400 B\r\n\r\n{{"error": {{"reason": "{0}"}}, "message": "{0}"}}',
    'HTTP/1.1 403 B\r\n\r\n{{"error": {{"reason": "{0}", "details": "{0}"}}}}',
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{"IpfsHash": "{0}", "sha": "{0}", "data": {{"cid": "{0}"}}}}',
]  # fmt: skip
"""Where an answer can hold what it was asked with."""


class Echo:
    """A server that hands back the secrets of each request, each time in another place."""

    def __init__(self) -> None:
        self.answered = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._forms = itertools.cycle(ECHOES)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                asked = connection.recv(1 << 20).decode("latin-1")
                found = [each for each in (TOKEN, JWT, KEY, SECRET, SIGNED, PEER) if each in asked]
                connection.sendall(next(self._forms).format(*(found or ["nothing"])).encode())
                self.answered += 1
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(0.2)
                while connection.recv(1 << 16):
                    pass


def clean(text: str | bytes, where: str) -> None:
    """No canary in it, in any case of its letters."""
    data = text.encode() if isinstance(text, str) else text
    at = data.lower().find(b"canary")
    assert at < 0, f"{where}: …{data[max(0, at - 60) : at + 40]!r}"


def on_disk(folder: Path) -> int:
    """Look through every file below the folder; how many there were."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        clean(str(path), "a name")
        clean(path.read_bytes(), str(path))
    return len(files)
