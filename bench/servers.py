"""Who serves: the fakes in a process of their own, or nginx with the same bytes at the same paths.

nginx is there where the fake would be what is slow; it has no Hub, which stays the fake's. Exclusions: which faults are
played is the scenario's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fakes.apart import WorldApart

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONF = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log; {user}
events {{ worker_connections 1024; }}
http {{
    log_format bytes '$body_bytes_sent';
    access_log {folder}/access bytes buffer=64k flush=100ms; tcp_nopush on; keepalive_requests 100000; root {root};
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{ports[0]}; sendfile on; }}
    server {{ listen 127.0.0.1:{ports[1]}; sendfile off; output_buffers 2 512k; }}
}}
"""
FLUSHED_S = 0.3
"""After so long nginx has written down what it did."""


class Server(Protocol):
    """Gateways' URLs in order, and what they have sent."""

    @property
    def gateways(self) -> Sequence[str]:
        """Their URLs, in order."""

    def begin(self, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """Play these rules, and count anew."""

    def counted(self) -> tuple[int, int]:
        """(bytes of bodies, requests) since `begin`."""


class Fakes:
    """The world itself."""

    def __init__(self, world: WorldApart) -> None:
        self._world, self.gateways = world, world.gateways

    def begin(self, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """As for every server."""
        self._world.play(name, rules)

    def counted(self) -> tuple[int, int]:
        """By the journal, the Hub's part included."""
        entries = self._world.journal()
        return sum(entry["bytes_sent"] for entry in entries), len(entries)


class Nginx:
    """One worker of nginx; what the Hub has sent is counted beside it."""

    def __init__(self, world: WorldApart, url: str, access: Path) -> None:
        self._fakes, self._access, self.gateways = Fakes(world), access, [url]

    def begin(self, name: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """Without rules: nginx plays no faults."""
        if rules:
            raise ValueError(f"{name}: nginx plays no faults")
        self._fakes.begin(name, rules)
        time.sleep(FLUSHED_S)
        os.truncate(self._access, 0)

    def counted(self) -> tuple[int, int]:
        """By its access log."""
        time.sleep(FLUSHED_S)
        sizes = [int(line) for line in self._access.read_text().split()]
        sent, requests = self._fakes.counted()
        return sent + sum(sizes), requests + len(sizes)


def laid_out(manifest: Mapping[str, Any], blobs: Mapping[str, Path], folder: Path) -> None:
    """Links to the blobs at the paths of gateways, /ipfs/{cid}/{path}; `blobs` are by "model/path"."""
    for name, model in manifest.items():
        for path in model["files"]:
            place = folder / "ipfs" / model["ipfs"]["cid"] / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(blobs[f"{name}/{path}"])


@contextlib.contextmanager
def nginx(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """URLs of an nginx that serves `root`: by sendfile, as Debian sets it up, and by copying. Its own files are in `folder`."""
    if NGINX is None:
        raise RuntimeError(
            "nginx is not here: install Debian's package nginx-light, or leave those scenarios out"
        )
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
    # As root it would serve as another user, who may not read a folder of ours.
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, user=user, ports=ports, root=root))
    with ended(subprocess.Popen([NGINX, "-e", str(folder / "log"), "-c", str(conf)])):
        _await(ports[1])
        yield f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """The process, gone after the block."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _await(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx does not answer")
