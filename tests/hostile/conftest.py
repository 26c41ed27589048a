"""What the tests of hostile input share; and how many inputs they tried, said at the end."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.canaries import FILES, SHA256, TOKEN, Echo
from tests.hostile.fuzzing import TRIED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES = {"config.json": b"{}" * 100, "onnx/model.onnx": bytes(range(256)) * 40}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a kind of input."""
    for kind, count in sorted(TRIED.items()):
        terminalreporter.write_line(f"tried {count:>7} {kind}")


@pytest.fixture(name="document")
def _document() -> dict[str, Any]:
    """A manifest of two small files, with everything a manifest can say."""
    files = {
        path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "chunks": None}
        for path, data in BYTES.items()
    }
    return {
        "tiny": {
            "type": "stt",
            "dir": "org/tiny",
            "files": files,
            "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": "a"},
            "ipfs": {"cid": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "path": "x"},
            "publishedAt": "2026-01-01T00:00:00Z",
            "note": [1, {"x": 1.5}],
        }
    }


@pytest.fixture(name="filled")
def _filled(tmp_path: Path, document: dict[str, Any]) -> Path:
    """A models folder with both files and the manifest."""
    folder = tmp_path / "models"
    for path, data in BYTES.items():
        target = folder / "org/tiny" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (folder / ".manifests.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(name="echo")
def _echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture(name="environment")
def _environment(tmp_path: Path, echo: Echo, filled: Path, document: dict[str, Any]) -> dict[str, str]:
    """Everything that is secret, and everybody who may get it is the echo."""
    files = {f"{number}.bin": {"size": 1, "sha256": SHA256} for number in range(FILES)}
    document["many"] = {"type": "x", "dir": "many", "files": files, "huggingface": {"repo": "org/many"}}
    (filled / ".manifests.json").write_text(json.dumps(document))
    return {
        "HF_TOKEN": TOKEN,
        "PINATA_JWT": "",
        "FALLBACK_MODELS_DIR": str(filled),
        "FALLBACK_HF_ENDPOINT": echo.url,
        "FALLBACK_GATEWAYS": echo.url,
        "FALLBACK_PINATA_API": echo.url,
        "FALLBACK_PINATA_UPLOADS": echo.url,
        "FALLBACK_BACKOFF_S": "0",
        "FALLBACK_MAX_WAIT_S": "0",
        "FALLBACK_TIMEOUT_S": "1",
        "FALLBACK_RESERVE_BYTES": "0",
        "FALLBACK_JOBS": "1",
    }
