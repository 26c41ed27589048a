"""`fallback serve` as a process of its own, and what a test asks of it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.flow.messages import VALIDATOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fakes.world import World

QUICK = {
    "FALLBACK_TIMEOUT_S": "2",
    "FALLBACK_CONNECT_TIMEOUT_S": "0.5",
    "FALLBACK_BACKOFF_S": "0.05",
    "FALLBACK_MAX_WAIT_S": "0.5",
    "FALLBACK_RESERVE_BYTES": "0",
}


class Server:
    """The server of a world's models, on a port of its own."""

    def __init__(
        self, world: World, folder: Path, *args: str, environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(world.manifest()))
        self.models_dir = folder / "models"
        own = {
            "FALLBACK_MANIFEST": str(manifest),
            "FALLBACK_MODELS_DIR": str(self.models_dir),
            "FALLBACK_SERVE_PORT": "0",
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("FALLBACK_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fallback", "serve", *args],
            env=inherited | world.environment() | own | QUICK | dict(environment or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()[1]
        self.origin = self.url.split("/gm")[0].rstrip("/")
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self.end()

    def end(self, by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """A signal, if it still runs; the exit code and what it had said on stderr."""
        if not self._said:
            self.process.send_signal(by)
            _, said = self.process.communicate(timeout=20)
            self._said.append(said)
        return self.process.returncode, self._said[0]

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=20, **options)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sync(self, path: str = "api/models/sync", **options: Any) -> str:
        """Begin a run, or join one; its id."""
        answer = self.ask("POST", path, **options)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == answer.json()["url"]
        return str(answer.json()["run"])

    def over(self, run: str, seconds: float = 30) -> dict[str, Any]:
        """The run once it is over."""
        ends_at = time.monotonic() + seconds
        while True:
            told: dict[str, Any] = self.get(f"api/models/sync/{run}")
            if told["status"] not in {"running", "stopping"}:
                return told
            assert time.monotonic() < ends_at, told
            time.sleep(0.05)

    def watch(self, **options: Any) -> Watcher:
        return Watcher(f"{self.url.replace('http', 'ws', 1)}sync", **options)


class Watcher:
    """A WebSocket client: each frame it gets is held against the schema, and kept with the time it came."""

    def __init__(self, url: str, **options: Any) -> None:
        self._connection = connect(url, proxy=None, legacy=True, **options)
        self._frames: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.seen: list[tuple[float, dict[str, Any]]] = []
        self.closed: tuple[int, str] | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def say(self, text: str) -> None:
        self._connection.send(text)

    def frame(self, seconds: float = 20) -> dict[str, Any] | None:
        """The next frame; None once the connection is closed."""
        frame = self._frames.get(timeout=seconds)
        if frame is not None:
            VALIDATOR.validate(frame)
        return frame

    def until_done(self, seconds: float = 30) -> list[dict[str, Any]]:
        """Every frame until a run is over."""
        frames = []
        ends_at = time.monotonic() + seconds
        while True:
            frame = self.frame(max(0.1, ends_at - time.monotonic()))
            assert frame is not None, self.closed
            frames.append(frame)
            if "file" not in frame and frame["done"]:
                return frames

    def _read(self) -> None:
        try:
            while True:
                frame = json.loads(self._connection.recv())
                self.seen.append((time.monotonic(), frame))
                self._frames.put(frame)
        except ConnectionClosed as closed:
            self.closed = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else None
            self._frames.put(None)


def flat(frames: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every message of these frames, each frame's top one last."""
    for frame in frames:
        yield from frame.get("also", ())
        yield {key: value for key, value in frame.items() if key != "also"}
