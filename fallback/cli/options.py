"""Options that several commands share, and how they become `Settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fallback.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "--config", type=click.Path(), help="Settings file (default: ./fallback.toml if it exists)."
    ),
    click.option("--models-dir", type=click.Path(), help="Folder the models belong in."),
    click.option("--manifest", type=click.Path(), help="Manifest to go by, instead of the one in force."),
    click.option(
        "--gateway",
        "gateways",
        multiple=True,
        metavar="URL",
        help="IPFS gateway; repeat for several, in order.",
    ),
    click.option(
        "--peer",
        "peers",
        multiple=True,
        metavar="URL",
        help="Another machine's `fallback serve --share`, asked first; repeat for several.",
    ),
    click.option("--hf-endpoint", metavar="URL", help="HuggingFace endpoint."),
    click.option(
        "--prefer", "preferred_layer", type=click.Choice(["ipfs", "huggingface"]), help="Layer to try first."
    ),
)

_TOLD_OPTIONS = (
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout for every event."),
    click.option("--quiet", "-q", is_flag=True, help="Say nothing but warnings and errors."),
)

_RUN_OPTIONS = (
    click.option("--jobs", type=int, metavar="N", help="Files received at a time."),
    click.option(
        "--deadline",
        "deadline_s",
        type=float,
        metavar="SECONDS",
        help="End the run after so long, whatever servers do.",
    ),
    *_TOLD_OPTIONS,
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that name sources and folders."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of commands that download."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


def told_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of how a command says what it does."""
    for option in reversed(_TOLD_OPTIONS):
        command = option(command)
    return command


def load(flags: dict[str, Any]) -> Settings:
    """Settings from the flags that were given, the environment, fallback.toml and defaults."""
    config = flags.pop("config", None)
    given = {name: value for name, value in flags.items() if value not in (None, ()) and value is not False}
    return Settings.load(given, config=config)
