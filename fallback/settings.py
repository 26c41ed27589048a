"""What a person may set: the only reader of the environment and of fallback.toml.

Flags win over the environment, that over fallback.toml, that over the defaults; `origins` says for
each where it came from. All problems of one load are reported at once. Exclusions: proxies are
requests' to read (it knows NO_PROXY), and no other module looks at the environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from fallback.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "FALLBACK_"
CONFIG = "fallback.toml"
ALIASES = {"HF_ENDPOINT": "hf_endpoint", "HF_TOKEN": "hf_token", "HF_HUB_OFFLINE": "offline"}
"""huggingface_hub's own variables, below ours of the same meaning."""


def _set(default: Any, unit: str, text: str, *, low: float | None = None, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"unit": unit, "help": text, "low": low})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with units in their names; `Settings.load()` for the usual way to get one.

    Raises:
        SettingsError: some value makes no sense; all of them are named.
    """

    models_dir: Path = _set(Path("~/.gmgui/models"), "path", "folder the models belong in")
    state_dir: Path | None = _set(
        None, "path", "folder of the state database, on a local disk; default: .fallback in models_dir"
    )
    manifest: Path | None = _set(
        None, "path", "manifest; default: .manifests.json in models_dir, else the built-in one"
    )
    gateways: tuple[str, ...] = _set(
        (
            "https://cloudflare-ipfs.com",
            "https://dweb.link",
            "https://gateway.pinata.cloud",
            "https://ipfs.io",
        ),
        "URLs",
        "IPFS gateways, in order",
    )
    hf_endpoint: str = _set("https://huggingface.co", "URL", "HuggingFace, or a mirror of it")
    hf_token: str | None = _set(
        None, "secret", "token for gated repositories; sent to hf_endpoint only", secret=True
    )
    preferred_layer: Literal["ipfs", "huggingface"] = _set(
        "ipfs", "layer", "layer to try first: ipfs or huggingface"
    )
    offline: bool = _set(False, "flag", "request nothing")  # noqa: FBT003 - a default
    gateway_attempts: int = _set(2, "count", "attempts of a file at one gateway", low=1)
    hub_attempts: int = _set(3, "count", "attempts of a file at HuggingFace or a mirror", low=1)
    backoff_s: float = _set(2.0, "s", "first pause after a failure, doubling", low=0)
    timeout_s: float = _set(30.0, "s", "no progress for so long ends an attempt", low=0.1)
    connect_timeout_s: float = _set(
        5.0, "s", "name resolution, connection and TLS handshake together", low=0.1
    )
    min_rate_bytes_s: float = _set(
        1000.0, "bytes/s", "slower than this over timeout_s ends an attempt", low=0
    )
    last_source_min_rate_bytes_s: float = _set(
        100.0, "bytes/s", "the same when no other source is left", low=0
    )
    deadline_s: float | None = _set(None, "s", "end of a whole run", low=0)
    max_wait_s: float = _set(
        60.0, "s", "longest pause before a source is asked again; caps Retry-After", low=0
    )
    jobs: int = _set(4, "count", "files at a time", low=1)
    max_unsized_bytes: int = _set(10 << 30, "bytes", "cap for a file of unknown size", low=1)
    reserve_bytes: int = _set(100_000_000, "bytes", "disk space to leave free", low=0)
    metrics_retention_h: float = _set(24.0, "h", "age at which metrics are deleted", low=0)
    bak_days: float = _set(7.0, "days", "age at which a file set aside is deleted", low=0)
    partial_idle_s: float = _set(3600.0, "s", "idle time after which a partial is deleted", low=0)
    warn_total_bytes: int = _set(2_000_000_000, "bytes", "a larger manifest is warned of", low=0)
    unsafe_allow_missing_sha256: bool = _set(False, "flag", "take files whose manifest names no sha256")  # noqa: FBT003 - a default
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = [problem for each in _fields() if (problem := _problem(each, getattr(self, each.name)))]
        if problems:
            raise SettingsError(_said(problems, self.origins))
        for name in ("models_dir", "state_dir", "manifest"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(path).expanduser().absolute())
        object.__setattr__(self, "gateways", tuple(url.rstrip("/") for url in self.gateways))
        object.__setattr__(self, "hf_endpoint", self.hf_endpoint.rstrip("/"))

    @property
    def state_path(self) -> Path:
        """Folder of the state database and the locks."""
        return self.state_dir or self.models_dir / ".fallback"

    @classmethod
    def load(
        cls,
        flags: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        config: Path | str | None = None,
    ) -> Self:
        """Settings from flags, environment, fallback.toml and defaults, in this order.

        Raises:
            SettingsError: something cannot be read as what it should be; it says what and where.
        """
        environ = os.environ if environ is None else environ
        config = config or environ.get(f"{PREFIX}CONFIG") or (CONFIG if Path(CONFIG).exists() else None)
        values: dict[str, Any] = {}
        origins: dict[str, str] = {}
        problems: list[tuple[str, str]] = []
        given = [*_from_toml(Path(config) if config else None), *_from_environ(environ)]
        given += [(name, value, "flag") for name, value in (flags or {}).items()]
        for name, raw, origin in given:
            try:
                values[name], origins[name] = _converted(name, raw), origin
            except ValueError as error:
                problems.append((name, f"{error} ({origin})"))
        if problems:
            raise SettingsError(_said(problems, {}))
        return cls(**values, origins={each.name: origins.get(each.name, "default") for each in _fields()})


def _fields() -> list[dataclasses.Field[Any]]:
    return [each for each in dataclasses.fields(Settings) if each.name != "origins"]


def _kind(name: str) -> str:
    """A field's annotation without its None: what its text is read as."""
    annotation = str(next(each for each in _fields() if each.name == name).type)
    return annotation.removesuffix(" | None").partition("[")[0]


def _from_environ(environ: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    variables = list(ALIASES.items())
    variables += [(PREFIX + each.name.upper(), each.name) for each in _fields()]
    return [(name, environ[key], f"environment {key}") for key, name in variables if environ.get(key)]


def _from_toml(path: Path | None) -> list[tuple[str, Any, str]]:
    if path is None:
        return []
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    known = [each.name for each in _fields()]
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise SettingsError(
                f"{path}: unknown setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    return [(name, value, str(path)) for name, value in document.items()]


def _converted(name: str, raw: Any) -> Any:
    """`raw` as the field's type; ValueError says what it should have been."""
    kind = _kind(name)
    try:
        return _READERS[kind](raw)
    except (TypeError, ValueError, KeyError):
        shown = "the value" if name == "hf_token" else repr(raw)[:60]
        raise ValueError(f"{shown} is not {_NAMES.get(kind, kind)}") from None


def _list(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(raw.replace(",", " ").split())
    if isinstance(raw, Sequence) and all(isinstance(each, str) for each in raw):
        return tuple(raw)
    raise TypeError


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }[str(raw).lower()]


def _number(kind: type[int | float]) -> Callable[[Any], Any]:
    def read(raw: Any) -> Any:
        if isinstance(raw, bool) or (kind is int and isinstance(raw, float)):
            raise TypeError
        return kind(raw)

    return read


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _path(raw: Any) -> Path:
    return Path(raw)


_READERS: dict[str, Callable[[Any], Any]] = {
    "Path": _path,
    "str": _text,
    "Literal": _text,
    "tuple": _list,
    "bool": _flag,
    "int": _number(int),
    "float": _number(float),
}
_NAMES = {
    "tuple": "a list",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
}


def _problem(each: dataclasses.Field[Any], value: Any) -> tuple[str, str] | None:
    low = each.metadata["low"]
    if low is not None and value is not None and not low <= value < float("inf"):
        return each.name, f"{value} is out of range: at least {low} is needed"
    if each.name == "preferred_layer" and value not in {"ipfs", "huggingface"}:
        return each.name, f"{value!r} is neither 'ipfs' nor 'huggingface'"
    if each.name == "hf_endpoint" and (why := _bad_url(value)):
        return each.name, why
    if each.name == "gateways":
        bad = [why for url in value if (why := _bad_url(url))]
        if bad or len({url.rstrip("/") for url in value}) < len(value):
            return each.name, bad[0] if bad else "a gateway is listed twice"
    return None


def _bad_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"{url!r} is not a URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return f"{url!r} is not an http or https URL"
    if "@" in parts.netloc:
        return "a URL with a user or password in it is not accepted"
    return f"{url!r} may have no query or fragment" if parts.query or parts.fragment else None


def _said(problems: Sequence[tuple[str, str]], origins: Mapping[str, str]) -> str:
    lines = [
        f"{name}: {what}" + (f" ({origins[name]})" if origins.get(name) else "") for name, what in problems
    ]
    return "settings cannot be used:" + "".join(f"\n  {line}" for line in lines)
