"""`fallback status`: what is here, proven when; what is missing; the last error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fallback.state import State
from fallback.state.attempts import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.settings import Settings


def states(out: str) -> dict[str, str]:
    lines = out.partition("\n\n")[0].splitlines()
    return {line.split()[2]: line.split()[0] for line in lines}


def test_a_file_is_missing_then_unverified_then_present(
    run: Callable[..., Any], here: Callable[[str], Path]
) -> None:
    """A file that merely lies there is not called present: somebody must have proven it."""
    assert set(states(run("status").out).values()) == {"missing"}
    here("config.json")
    assert states(run("status").out)["tiny/config.json"] == "unverified"
    assert run("sync", "--offline").code == 1  # proves what is here
    said = run("status")
    assert states(said.out) == {"tiny/config.json": "present", "tiny/onnx/model.onnx": "missing"}
    assert "verified 20" in said.out.splitlines()[0]
    assert said.out.splitlines()[0].endswith("from cache")


def test_a_file_changed_since_it_was_proven_is_unverified(
    run: Callable[..., Any], here: Callable[[str], Path]
) -> None:
    """The row vouches for the bytes it saw, and no others."""
    path = here("config.json")
    run("sync", "--offline")
    path.write_bytes(b"[]\n")
    said = run("status")
    assert states(said.out)["tiny/config.json"] == "unverified"
    assert "verified 20" not in said.out


def test_the_last_error_is_the_last(run: Callable[..., Any], manifest: Path, settings: Settings) -> None:
    """Of those that metrics keep; the folder and the manifest are named too."""
    with State(settings.state_path, pytest.fail) as state:
        for second, message in enumerate(["first", "second", None]):
            kind = "unavailable" if message else None
            state.attempts.add(
                Record(4e9 + second, "tiny", "stt", "a", "ipfs", "g", "error", 1.0, 0, 9, kind, message)
            )
    said = run("status")
    assert f"manifest {manifest}; folder {settings.models_dir}\n" in said.out
    assert "last error, 2096-10-02T07:06:41.000Z: second\n" in said.out


def test_json_is_one_object_on_one_line(run: Callable[..., Any], here: Callable[[str], Path]) -> None:
    here("config.json")
    said = run("status", "--json")
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    told = json.loads(said.out)
    assert [file["state"] for file in told["files"]] == ["unverified", "missing"]
    assert told["last_error"] is None


def test_a_broken_manifest_is_exit_2_at_its_key(run: Callable[..., Any], manifest: Path) -> None:
    manifest.write_text('{"tiny": {"files": {"a": {"size": -1, "sha256": "00"}}}}')
    said = run("status")
    assert (said.code, said.out) == (2, "")
    assert 'tiny.files["a"].size: must be a whole number' in said.err
    assert 'tiny.files["a"].sha256: must be 64 hex digits' in said.err
