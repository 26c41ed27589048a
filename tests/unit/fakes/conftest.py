"""A small world, and a client of raw sockets that tells bytes, FIN, RST and silence apart."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL, LARGE = 700, 40_000  # below and above what the Hub keeps as LFS


@dataclass(frozen=True)
class Heard:
    """What came back, and how the connection was then: "fin", "rst" or "silent"."""

    data: bytes
    end: str

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]


class Talk:
    """Sends one request as plain bytes and hears the connection out."""

    def __call__(
        self,
        url: str,
        *headers: str,
        method: str = "GET",
        close: bool = True,
        timeout: float = 5,
        at_most: int | None = None,
    ) -> Heard:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", *headers]
        lines += ["Connection: close"] if close else []
        assert parts.hostname is not None
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=timeout) as sock:
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            return self.hear(sock, at_most)

    def hear(self, sock: socket.socket, at_most: int | None = None) -> Heard:
        data = bytearray()
        while at_most is None or len(data) < at_most:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                return Heard(bytes(data), "rst")
            except TimeoutError:
                return Heard(bytes(data), "silent")
            if not part:
                return Heard(bytes(data), "fin")
            data += part
        return Heard(bytes(data), "open")


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def tiny() -> dict[str, Any]:
    """One model on the Hub's model side with a small and a large file, in the shape of models.json."""
    return {
        "tiny": {
            "type": "stt",
            "dir": "org/tiny",
            "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""},
            "files": {
                "config.json": {"size": SMALL, "sha256": "0" * 64},
                "onnx/big one.bin": {"size": LARGE, "sha256": "0" * 64, "cid": "bafkreireal"},
                "empty.txt": {"size": 0, "sha256": "0" * 64},
            },
        }
    }


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKES_SCRATCH", str(tmp_path / "scratch"))


@pytest.fixture
def world(tiny: dict[str, Any]) -> Iterator[World]:
    with World(tiny, size="full") as world:
        yield world


@pytest.fixture
def big(world: World) -> str:
    """The URL of the large file at the first gateway."""
    return f"{world.gateways[0]}/ipfs/{world.manifest()['tiny']['ipfs']['cid']}/onnx/big%20one.bin"


@pytest.fixture
def content(world: World) -> bytes:
    """The large file's bytes."""
    return bytes(world.catalogue.models["tiny"].files["onnx/big one.bin"].view())
