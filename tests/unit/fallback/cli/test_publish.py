"""`fallback cid`: the root alone, or a line a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from fallback.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path

HELLO = {
    "unixfs-v1-2025": "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    "unixfs-v0-2015": "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD",
}


@pytest.mark.parametrize("profile", HELLO)
def test_a_file(tmp_path: Path, profile: str) -> None:
    (tmp_path / "hello").write_text("hello world")
    ended = CliRunner().invoke(cli, ["cid", str(tmp_path / "hello"), "--profile", profile])
    assert (ended.exit_code, ended.stdout) == (0, HELLO[profile] + "\n")


def test_a_folder_as_json(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/hello").write_text("hello world")
    (tmp_path / ".hidden").write_text("")
    ended = CliRunner().invoke(cli, ["cid", str(tmp_path), "--json"])
    file, root = (json.loads(line) for line in ended.stdout.splitlines())
    assert file == {"path": "sub/hello", "size": 11, "cid": HELLO["unixfs-v1-2025"]}
    assert (root["path"], root["size"], root["profile"]) == ("", 11, "unixfs-v1-2025")
    assert ended.stderr == "1 left out: .hidden\n"


def test_what_is_not_there(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["cid", str(tmp_path / "nothing")]).exit_code == 2
