"""A small world, and the real command line at work in a folder of its own: what every test here begins with.

Exclusions: nothing is judged here (`folder`), and nothing is broken (`strace`, `kills`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fallback import Manifest, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fakes.world import World

MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        # Pinned, so that there can be a newer version.
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "ab" * 20, "path": ""},
        # Two chunks, so that there is something to mend.
        "files": {"config.json": {"size": 900}, "onnx/model.onnx": {"size": 1_300_000}},
    },
    "voice": {
        "type": "voice",
        "dir": "tts",
        "huggingface": {"repo": "org/voice", "repo_type": "model", "revision": "main", "path": ""},
        "files": {"voice.bin": {"size": 70_000}},
    },
}
LARGE = "org/tiny/onnx/model.onnx"
QUICK = {
    # On a busy machine, too, nobody is asked because another's first byte took long.
    "FALLBACK_TIMEOUT_S": "20",
    "FALLBACK_PATIENCE_S": "20",
    "FALLBACK_CONNECT_TIMEOUT_S": "20",
    "FALLBACK_BACKOFF_S": "0.05",
    "FALLBACK_RESERVE_BYTES": "0",
    "FALLBACK_JOBS": "1",
}
LIMIT_S = 120.0
"""No run takes a tenth of this on a machine that has nothing else to do; one that hangs is ended here and fails its test."""


@dataclass(frozen=True)
class Done:
    """A run that has ended; `code` is negative where a signal ended it."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Stage:
    """`fallback` for one world, with `folder` as its home: models, manifest and all."""

    world: World
    folder: Path

    @property
    def models_dir(self) -> Path:
        """Where the files belong."""
        return self.folder / "models"

    @property
    def state(self) -> Path:
        """The state database."""
        return self.models_dir / ".fallback" / "state.sqlite3"

    @property
    def contents(self) -> dict[str, bytes]:
        """Every file of the world by its path below the models folder."""
        models = self.world.catalogue.models
        return {
            f"{MODELS[name]['dir']}/{path}": bytes(content.view())
            for name, model in models.items()
            for path, content in model.files.items()
        }

    @property
    def manifest(self) -> Manifest:
        """The world's, as the engine reads it."""
        return Manifest.parse(json.dumps(self.world.manifest()), name="world")

    @property
    def settings(self) -> Settings:
        """Of an engine in this process."""
        return Settings(
            models_dir=self.models_dir,
            gateways=tuple(self.world.gateways),
            hf_endpoint=self.world.hub,
            backoff_s=0.05,
            reserve_bytes=0,
        )

    def clear(self) -> None:
        """An empty folder, a world in which all is well, and the manifest."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.world.clear()
        self.world.journal.clear()
        (self.folder / "manifest.json").write_text(json.dumps(self.world.manifest()))

    def put(self, path: str, data: bytes) -> Path:
        """Bytes in the place of the file `path`."""
        target = self.models_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def start(
        self, *args: str, through: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """`fallback ARGS`, started by the program and options `through`."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
        own = {
            "HOME": str(self.folder),
            "FALLBACK_MODELS_DIR": str(self.models_dir),
            "FALLBACK_MANIFEST": str(self.folder / "manifest.json"),
            "PYTHONDONTWRITEBYTECODE": "1",  # what it writes is what it has to
        }
        return subprocess.Popen(
            [*through, sys.executable, "-m", "fallback", *args],
            env={**kept, **self.world.environment(), **own, **QUICK, **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *args: str, through: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Done:
        """The same, to its end."""
        return ended(self.start(*args, through=through, environment=environment))


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for the end of a run; AssertionError if it does not come, or if it is a traceback."""
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs: {err[-2000:]}") from None
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)
