"""`fallback bundle`: what it says, its exit codes, and standard input and output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from fallback import manifest_from_dir
from fallback.cli.exits import report
from fallback.cli.main import cli
from fallback.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    (models / "m").mkdir(parents=True)
    (models / "m/a.bin").write_bytes(b"a" * 5000)
    made = manifest_from_dir(models / "m", settings=Settings(models_dir=models))
    (models / ".manifests.json").write_text(made.to_json())
    monkeypatch.chdir(tmp_path)


def ran(*arguments: str, models: str = "models", data: bytes | None = None) -> Result:
    environment = {"FALLBACK_MODELS_DIR": models, "FALLBACK_RESERVE_BYTES": "0"}
    return CliRunner().invoke(cli, ["bundle", *arguments], env=environment, input=data)


def code(result: Result) -> int:
    """As the command line ends."""
    return (
        result.exit_code
        if result.exception is None or isinstance(result.exception, SystemExit)
        else report(result.exception)
    )


def test_from_one_folder_into_another(tmp_path: Path) -> None:
    made = ran("create", "m", "-o", "m.tar")
    assert code(made) == 0
    assert "m.tar: 1 file(s) of m, 5,000 bytes" in made.stderr
    assert not made.stdout
    installed = ran("install", "m.tar", models="there")
    assert code(installed) == 0
    assert "1 of 1 files right" in installed.stderr
    assert (tmp_path / "there/m/a.bin").read_bytes() == b"a" * 5000


def test_through_a_pipe(tmp_path: Path) -> None:
    made = ran("create", "-o", "-", "-q")
    assert code(ran("install", "-", models="there", data=made.stdout_bytes)) == 0
    assert (tmp_path / "there/m/a.bin").read_bytes() == b"a" * 5000


def test_as_json() -> None:
    last = json.loads(ran("create", "-o", "m.tar", "--json").stdout.splitlines()[-1])
    assert last == {"event": "bundled", "path": "m.tar", "models": ["m"], "files": 1, "bytes_total": 5000}
    told = [
        json.loads(line)["event"]
        for line in ran("install", "m.tar", "--json", models="there").stdout.splitlines()
    ]
    assert told[-1] == "run_ended"
    assert "file_completed" in told


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        (["create", "-o", "-", "--json"], 2),
        (["create"], 2),
        (["create", "nobody", "-o", "x.tar"], 2),
        (["install", "absent.tar"], 2),
        (["install", "junk.tar"], 1),
        (["create", "-o", "no/such/folder/x.tar"], 3),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], ends: int) -> None:
    (tmp_path / "junk.tar").write_bytes(b"junk")
    assert code(ran(*arguments)) == ends


def test_another_version_wants_to_be_asked_for(tmp_path: Path) -> None:
    ran("create", "-o", "m.tar")
    (tmp_path / "there").mkdir()
    other = json.loads((tmp_path / "models/.manifests.json").read_text())
    other["m"]["files"] = {"b.bin": {"size": 1, "sha256": "0" * 64}}
    (tmp_path / "there/.manifests.json").write_text(json.dumps(other))
    assert code(ran("install", "m.tar", models="there")) == 2
    assert code(ran("install", "m.tar", "--replace", models="there")) == 0
