"""`fallback publish`: options that go together, and what it says where nothing can be published."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from fallback import manifest_from_dir
from fallback.cli import exits
from fallback.cli.main import cli
from fallback.errors import StorageError, UnavailableError
from fallback.events import Published
from fallback.ipfs import car
from fallback.ipfs.unixfs import V1_2025
from fallback.publish import tree
from fallback.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="models")
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PINATA_JWT", "PINATA_API_KEY", "PINATA_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    models = tmp_path / "models"
    (models / "m").mkdir(parents=True)
    (models / "m/a.bin").write_bytes(b"a" * 5000)
    made = manifest_from_dir(models / "m", settings=Settings(models_dir=models))
    (models / ".manifests.json").write_text(made.to_json())
    return models


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--to", "car"], "-o FILE"),
        (["--to", "kubo", "-o", "x"], "-o goes with --to car"),
        (["--to", "car", "-o", "x", "--api", "http://127.0.0.1:1"], "--api goes with --to kubo"),
        (["--to", "kubo", "--pinata-api", "v3"], "--pinata-api goes with --to pinata"),
        ([], "--to"),
    ],
)
def test_options_that_do_not_go_together(models: Path, given: list[str], what: str) -> None:
    result = CliRunner().invoke(cli, ["publish", *given, "--models-dir", str(models)])
    assert result.exit_code == exits.USAGE
    assert what in result.output


def test_without_a_key_it_says_what_to_set(models: Path) -> None:
    result = CliRunner().invoke(cli, ["publish", "--to", "pinata", "--models-dir", str(models)])
    assert "PINATA_JWT" in str(result.exception)
    assert "--to car -o FILE" in str(result.exception)


def test_a_car_is_written_and_named(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.car"
    result = CliRunner().invoke(
        cli, ["publish", "m", "--to", "car", "-o", str(output), "--models-dir", str(models)]
    )
    assert result.exit_code == 0, result.output
    cid = str(tree.of_path(models / "m", V1_2025).root.cid)
    assert f"m  {cid}  unixfs-v1-2025" in result.output
    assert "nothing was recorded" in result.output
    with output.open("rb") as stream:
        assert cid in {str(block) for block, _ in car.read(stream)}


def test_a_device_is_not_replaced_by_a_file(models: Path, tmp_path: Path) -> None:
    """Whoever may write to /dev would have lost /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = CliRunner().invoke(
        cli, ["publish", "m", "--to", "car", "-o", str(pipe), "--models-dir", str(models)]
    )
    assert isinstance(result.exception, StorageError)
    assert "no file" in str(result.exception)
    assert pipe.is_fifo()


def test_what_was_published_before_a_failure_is_told(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several models: the CIDs of those that are there already are not lost with the next one's failure."""

    def half(*_: object, observer: Any, **__: object) -> None:
        observer(Published("m", "", "k", "bafy", "unixfs-v1-2025", ("http://g/ipfs/bafy",)))
        raise UnavailableError("n at k", [("k", "500")])

    monkeypatch.setattr("fallback.publish.publishing.publish_models", half)
    result = CliRunner().invoke(cli, ["publish", "--to", "kubo", "--models-dir", str(models)])
    assert isinstance(result.exception, UnavailableError)
    assert "m  bafy  unixfs-v1-2025" in result.output
    assert "http://g/ipfs/bafy" in result.output


def test_as_json(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.car"
    result = CliRunner().invoke(
        cli, ["publish", "--to", "car", "-o", str(output), "--models-dir", str(models), "--json"]
    )
    [line] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (line["event"], line["model"], line["target"]) == ("published", "m", str(output))
