"""The command line in this process: a manifest of two files, and no way to the network."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fallback.cli import main
from fallback.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILES = {"config.json": b"{}\n", "onnx/model.onnx": b"weights" * 100}


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int | str | None
    out: str
    err: str


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home and a working directory of its own; whoever asks for a socket fails."""
    for name in os.environ:
        if name.startswith(("FALLBACK_", "HF_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FALLBACK_GATEWAYS", "http://one.invalid,http://two.invalid")
    monkeypatch.setenv("FALLBACK_HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("FALLBACK_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("FALLBACK_RESERVE_BYTES", "0")
    asked: list[Any] = []

    def refuse(*args: Any, **_: Any) -> None:
        asked.append(args)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    assert not asked


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest in force: one model, `tiny`, below org/tiny."""
    files = {
        path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in FILES.items()
    }
    hub = {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""}
    model = {"type": "stt", "dir": "org/tiny", "huggingface": hub, "ipfs": {"cid": "bafytiny"}}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"tiny": {**model, "files": files}}))
    monkeypatch.setenv("FALLBACK_MANIFEST", str(path))
    return path


@pytest.fixture
def here(manifest: Path, settings: Settings) -> Callable[[str], Path]:
    """Puts a file of the manifest where it belongs."""

    def put(path: str) -> Path:
        target = settings.models_dir / "org/tiny" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(FILES[path])
        return target

    return put


@pytest.fixture
def settings() -> Settings:
    """What commands will load here."""
    return Settings.load()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`fallback` with these arguments, to its exit code."""

    def run(*args: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fallback", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Said(ended.value.code, out, err)

    return run
