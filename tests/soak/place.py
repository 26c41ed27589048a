"""The world of a soak, as a process of its own: its memory is not ours. What it is told goes over its control API."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from fakes.faults import FAULTS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

MODELS: dict[str, Any] = {
    name: {
        "type": "x",
        "dir": folder,
        "huggingface": {"repo": f"org/{name}"},
        "files": {path: {"size": size} for path, size in files.items()},
    }
    for name, folder, files in (
        ("old", "shared", {"a.bin": 300_000, "sub/b.bin": 4_000}),
        ("new", "shared", {"a.bin": 300_007, "sub/b.bin": 4_007}),
        ("big", "big", {"model.onnx": 3_200_000, "config.json": 10}),
    )
}
"""Two versions of one model in the same places, and another model with a file of several chunks."""


def _playable() -> list[str]:
    """Faults that need no more said than their names, at servers that speak plain HTTP."""
    found = []
    for name, kind in sorted(FAULTS.items()):
        with contextlib.suppress(TypeError, ValueError):
            kind()
            if kind.group not in {"tls", "pinning"}:
                found.append(name)
    return found


PLAYABLE = _playable()


class Place:
    """Servers on loopback, and what is wrong with them."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.urls: dict[str, str] = told["urls"]
        self.environment: dict[str, str] = told["environment"]
        self.manifest: dict[str, Any] = told["manifest"]
        self._control: str = told["control"]

    def _ask(self, method: str, path: str, body: Any = None) -> bool:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._control}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return False  # some faults cannot be aimed so
        return True

    def spoil(self, rolled: random.Random) -> str:
        """Something goes wrong somewhere."""
        server = rolled.choice(["gateway1", "gateway2", "gateway[34]", "gateway*", "hub", "cdn", "*", "*"])
        name = rolled.choice(PLAYABLE)
        aim: dict[str, Any] = rolled.choice(
            [{}, {"first": 3}, {"probability": 0.5, "seed": rolled.randrange(99)}]
        )
        played = self._ask("POST", "/faults", {"server": server, "fault": {"name": name}, **aim})
        return "fault" if played else "fault that cannot be aimed so"

    def heal(self) -> None:
        """All is well again, and nothing of it is remembered."""
        self._ask("PUT", "/scenario", {"name": "healthy"})
        self._ask("DELETE", "/journal")


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A world that serves `MODELS`, until the block ends."""
    path = folder / "served.json"
    path.write_text(json.dumps(MODELS))
    command = [sys.executable, "-m", "fakes", "up", "--json", "--size", "full", "--manifest", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Place(json.loads(child.stdout.readline()))
        finally:
            child.terminate()
