"""`fallback manifest` as far as it goes without a request: what goes to stdout, what to stderr, and the codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fallback.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.settings import Settings


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "mine/sub").mkdir(parents=True)
    (tmp_path / "mine/config.json").write_bytes(b"{}\n")
    (tmp_path / "mine/sub/model.onnx").write_bytes(b"weights")
    return tmp_path / "mine"


def test_stdout_is_the_manifest_and_stderr_the_progress(
    run: Callable[..., Any], folder: Path, settings: Settings
) -> None:
    """So it can be piped into a file; and nothing is written without --add."""
    (folder / ".git").mkdir()
    said = run("manifest", "from-dir", str(folder), "--type", "stt", "--dir", "org/mine")
    assert said.code == 0
    (model,) = Manifest.parse(said.out, name="out").models
    assert (model.name, model.type, model.dir, len(model.files)) == ("mine", "stt", "org/mine", 2)
    assert "mine/config.json: 3 bytes\n" in said.err
    assert "1 left out" in said.err
    assert not settings.models_dir.exists()


def test_quiet_says_nothing(run: Callable[..., Any], folder: Path) -> None:
    assert run("manifest", "from-dir", str(folder), "--quiet").err == ""


def test_include_is_repeatable(run: Callable[..., Any], folder: Path) -> None:
    said = run("manifest", "from-dir", str(folder), "--include", "*.onnx", "--include", "c*", "--name", "x")
    assert list(json.loads(said.out)["x"]["files"]) == ["config.json", "sub/model.onnx"]


def test_add_merges_and_says_what_it_did(
    run: Callable[..., Any], folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time with the built-in models, the second in the place of the first; then a sync goes by it."""
    monkeypatch.delenv("FALLBACK_MANIFEST", raising=False)
    path = settings.models_dir / ".manifests.json"
    said = run("manifest", "from-dir", str(folder), "--add")
    assert (said.code, list(json.loads(said.out))) == (0, ["mine"])
    assert f"{path} is new, and begins with the 2 model(s) of the manifest built in" in said.err
    assert f"added to {path}\n" in said.err
    assert (
        "model mine was there, with 2 file(s), and is replaced"
        in run("manifest", "from-dir", str(folder), "--add").err
    )
    assert list(json.loads(path.read_text()))[-1] == "mine"
    assert "missing" in run("status").out.partition("\n\n")[0].splitlines()[-1]


CASES: list[tuple[list[str], str]] = [
    (["from-dir", "absent"], "absent"),
    (["from-dir"], "DIR"),
    (["from-dir", "mine", "--include", "nope"], "no file that matches 'nope'"),
    (["from-dir", "mine", "--dir", "../out"], "mine.dir"),
    (["from-dir", "mine", "--name", ""], "is empty"),
    (["from-hub", "not a repository"], "is not the name of a repository"),
    (["from-hub", "a/b", "--revision", "..", "--dir", "/x"], "b.huggingface.revision"),
    (["from-hub", "a/b", "--repo-type", "space"], "--repo-type"),
    (["from-hub"], "REPO"),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_what_makes_no_sense_is_exit_2(
    run: Callable[..., Any], folder: Path, settings: Settings, args: list[str], message: str
) -> None:
    """With a message that names it; no request, nothing on stdout, and nothing written."""
    assert folder.exists()
    said = run("manifest", *args, "--add")
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not settings.models_dir.exists()


def test_all_problems_are_told_at_once(run: Callable[..., Any], folder: Path) -> None:
    (folder / "out").symlink_to("/")
    (folder / "nul.txt").write_bytes(b"x")
    said = run("manifest", "from-dir", str(folder))
    assert (said.code, said.out) == (2, "")
    assert '"out": is a symbolic link out of the folder' in said.err
    assert "a device on Windows" in said.err


def test_a_disk_that_fails_is_exit_3_and_there_is_no_manifest(
    run: Callable[..., Any], folder: Path, settings: Settings
) -> None:
    settings.models_dir.write_bytes(b"a file")
    said = run("manifest", "from-dir", str(folder), "--add")
    assert (said.code, said.out) == (3, "")
    assert str(settings.models_dir) in said.err


def test_offline_is_exit_1(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = run("manifest", "from-hub", "org/tiny")
    assert (said.code, said.out) == (1, "")
    assert "offline is set" in said.err
