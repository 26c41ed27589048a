"""Flags become settings: what is given wins, what is not given says nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click
import pytest

from fallback.cli import options
from fallback.cli.main import COMMANDS, cli
from fallback.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOT_SETTINGS = {
    "config", "as_json", "quiet", "dry_run", "repair", "models", "urls", "sha256", "size", "output", "forget", "what",
    "path", "profile", "to", "pinata_api", "anyway", "yes", "include", "model", "unnamed",
}  # fmt: skip
"""Parameters that a command takes out itself."""


def parameters(name: str) -> list[click.Parameter]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command.params


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_other_flag_is_a_setting_of_that_name(command: str) -> None:
    """`load` hands them over by name: one that is no setting would end every run with exit 2."""
    names = {parameter.name for parameter in parameters(command)} - NOT_SETTINGS
    assert names <= {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_flag_has_a_help_text(command: str) -> None:
    """`--help` is the manual."""
    shown = [each for each in parameters(command) if isinstance(each, click.Option)]
    assert [each.name for each in shown if not each.help] == []


@pytest.mark.parametrize("absent", [None, (), False])
def test_a_flag_that_was_not_given_leaves_the_environment_alone(
    absent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What click gives is None, () or False for it; none of them may switch a variable off."""
    monkeypatch.setenv("FALLBACK_OFFLINE", "1")
    monkeypatch.setenv("FALLBACK_JOBS", "7")
    loaded = options.load({"offline": absent, "jobs": absent, "gateways": absent})
    assert (loaded.offline, loaded.jobs) == (True, 7)
    assert loaded.gateways == ("http://one.invalid", "http://two.invalid")


def test_a_flag_wins_and_says_so() -> None:
    """Flags over the environment; `origins` tells where a value came from."""
    loaded = options.load({"gateways": ("http://b", "http://a"), "jobs": 2})
    assert loaded.gateways == ("http://b", "http://a")
    assert (loaded.origins["gateways"], loaded.origins["jobs"]) == ("flag", "flag")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--jobs", "0"], "jobs: 0 is not from 1 to"),
        (["--jobs", "many"], "'--jobs': 'many' is not a valid integer"),
        (["--deadline", "-1"], "deadline_s: -1.0 is not from 0 to"),
        (["--deadline", "nan"], "deadline_s: nan is not from 0 to"),
        (["--gateway", "nonsense"], "gateways: number 1 is not an http or https URL"),
        (["--gateway", "http://a", "--gateway", "ftp://b"], "gateways: number 2 is not an http or https URL"),
        (["--gateway", ""], "gateways: number 1 is not a URL"),
        (["--hf-endpoint", "hub"], "hf_endpoint: is not an http or https URL"),
        (["--prefer", "cache"], "'--prefer': 'cache' is not one of 'ipfs', 'huggingface'"),
        (["--models-dir", ""], "models_dir: '' is not a path"),
        (["--config", "absent.toml"], "absent.toml: cannot be read: No such file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_value_that_makes_no_sense_is_exit_2_and_names_the_flag(
    run: Callable[..., Any], manifest: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    """Nothing was requested, and nothing was written."""
    before = set(tmp_path.iterdir())
    said = run("sync", *flags)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err
    assert set(tmp_path.iterdir()) == before


def test_all_bad_values_are_told_at_once(run: Callable[..., Any]) -> None:
    """Nobody mends one flag after the other."""
    said = run("sync", "--jobs", "0", "--deadline", "-1", "--gateway", "nonsense")
    assert said.code == 2
    assert all(name in said.err for name in ("jobs", "deadline_s", "gateways"))


def test_a_settings_file_can_be_named(run: Callable[..., Any], tmp_path: Path) -> None:
    """`--config`, below the environment."""
    path = tmp_path / "mine.toml"
    path.write_text("jobs = 3\nhf_endpoint = 'http://toml.invalid'\n")
    said = run("sources", "--config", str(path))
    assert said.code == 0
    shown = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line.startswith("  ")}
    assert shown["jobs"] == ["3", str(path)]
    assert shown["hf_endpoint"] == ["http://hub.invalid", "environment", "FALLBACK_HF_ENDPOINT"]
