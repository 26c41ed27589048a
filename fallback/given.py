"""What a person set, and where: the environment and fallback.toml, as they were written.

Exclusions: what a value means, and whether it can be one (`values`), and which of two wins (`settings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fallback import values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field
    from pathlib import Path

    Problems = list[tuple[str, str]]  # (setting, what is wrong with it and where it was set)
    Fields = Mapping[str, Field[Any]]
    Raw = dict[str, tuple[Any, str]]  # (value, where it was set) by setting

PREFIX = "FALLBACK_"
ALIASES = {
    "HF_ENDPOINT": "hf_endpoint",
    "HF_TOKEN": "hf_token",
    "HF_HUB_OFFLINE": "offline",
    "PINATA_JWT": "pinata_jwt",
    "PINATA_API_KEY": "pinata_key",
    "PINATA_SECRET_KEY": "pinata_secret",
}
"""Variables that other programs read, too, below ours of the same meaning."""

MAX_CONFIG_BYTES = 1 << 20


def from_environ(environ: Mapping[str, str], fields: Fields) -> Raw:
    """Of each variable that is not empty."""
    variables = ALIASES | {PREFIX + name.upper(): name for name in fields}
    given = [(key, name) for key, name in variables.items() if environ.get(key, "").strip()]
    return {name: (environ[key], f"environment {key}") for key, name in given}


def _text_of(path: Path) -> str:
    """What the file holds; ValueError if it is no text, or far too long for what it should be."""
    with path.open("rb") as stream:
        text = stream.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise ValueError("it is larger than 1 MiB: this is no settings file")
    return text.decode()


def from_toml(path: Path, fields: Fields, problems: Problems) -> Raw:
    """Relative paths in the file are relative to its folder."""
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        document = tomllib.loads(_text_of(path))
    except (OSError, RecursionError, ValueError) as error:  # ValueError: TOML, UTF-8, int()'s limit on digits
        problems.append((str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}"))
        return {}
    given = only_known(document, str(path), fields, problems)
    for name, (value, origin) in given.items():
        relative = isinstance(value, str) and value and not value.startswith("~")
        if relative and fields[name].metadata["unit"] in {"path", "certificates"}:
            given[name] = (str(path.parent / value), origin)
    return given


def only_known(given: Mapping[str, Any], origin: str, fields: Fields, problems: Problems) -> Raw:
    """Those that are settings; each other one is a problem."""
    for name in [name for name in given if name not in fields]:
        import difflib  # noqa: PLC0415 - only a mistake needs it

        near = difflib.get_close_matches(name[:60], fields, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        problems.append((values.shown(name), f"is no setting{hint} ({origin})"))
    return {name: (value, origin) for name, value in given.items() if name in fields}
