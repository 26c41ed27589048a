"""What a person may set: the only reader of the environment and of fallback.toml.

Flags win over the environment, that over fallback.toml, that over the defaults; `origins` says for
each where it came from. All problems of one load are reported at once, but for a bad value that a
stronger source overrides. No message holds a token, or a URL, which may hide one. Exclusions: proxies
are requests' to read (it knows NO_PROXY), and no other module looks at the environment.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from fallback import given, values
from fallback.errors import SHOWN, SettingsError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fallback.given import Problems

CONFIG = "fallback.toml"
_MOST = {
    "count": 256,
    "port": 65535,
    "clients": 1e5,
    "s": 1e6,
    "h": 1e6,
    "days": 1e5,
    "bytes": 2**63 - 1,
    "bytes/s": 1e12,
}
"""Upper bounds by unit: beyond them sockets, locks or SQLite overflow, and nobody means it."""


def _set(default: Any, unit: str, text: str, *, low: float | None = None, secret: bool = False) -> Any:
    about = {"unit": unit, "help": text, "low": low, "high": _MOST.get(unit)}
    return field(default=default, repr=not secret, metadata=about)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with units in their names; `Settings.load()` for the usual way to get one.

    Each field's metadata has its `help`, `unit` and, of a number, `low` and `high`. Paths are made
    absolute and URLs lose their last slash. Source of the defaults: DESIGN, "Settings".

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
    bundle: Path | None = _set(
        None, "path", "bundle (a plain tar) to have files from when no other source has them"
    )
    ca_bundle: Path | None = _set(
        None, "certificates", "CAs to believe (PEM); default: those of REQUESTS_CA_BUNDLE, else certifi's"
    )
    pinata_jwt: str | None = _set(
        None, "secret", "token for publishing; sent to Pinata's two URLs only", secret=True
    )
    pinata_key: str | None = _set(
        None, "secret", "key for publishing, of a pair; or a token, if it alone is set", secret=True
    )
    pinata_secret: str | None = _set(None, "secret", "the other half of the pair", secret=True)
    pinata_api: str = _set("https://api.pinata.cloud", "URL", "Pinata's API")
    pinata_uploads: str = _set("https://uploads.pinata.cloud", "URL", "where Pinata's v3 takes uploads")
    kubo_api: str = _set("http://127.0.0.1:5001", "URL", "RPC of a Kubo node")
    publish_answer_s: float = _set(
        600.0, "s", "how long whoever pins may take to answer, once it has everything", low=0.1
    )
    peers: tuple[str, ...] = _set(
        (), "URLs", "servers of other machines (`fallback serve --share`), asked before all others, in order"
    )
    peer_token: str | None = _set(
        None, "secret", "token for the peers that are listed; sent to them only", secret=True
    )
    discover: bool = _set(
        False,  # noqa: FBT003 - a default
        "flag",
        "look for peers on this network by mDNS; with share, be found there",
    )
    mirror: str | None = _set(
        None, "store", "a mirror of one's own, by SHA-256: http(s)://, or a store such as s3:// or file://"
    )
    mirror_write: bool = _set(False, "flag", "put files that came from elsewhere into the mirror")  # noqa: FBT003 - a default
    offline: bool = _set(False, "flag", "request nothing")  # noqa: FBT003 - a default
    gateway_attempts: int = _set(2, "count", "attempts of a file at one gateway", low=1)
    hub_attempts: int = _set(3, "count", "attempts of a file at HuggingFace or a mirror", low=1)
    backoff_s: float = _set(2.0, "s", "first pause after a failure, doubling", low=0)
    patience_s: float = _set(
        3.0,
        "s",
        "no first byte for so long, and the next source is asked beside this one; after as long again, a third in place of the first",
        low=0.1,
    )
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
    allow_private_redirects: bool = _set(
        False,  # noqa: FBT003 - a default
        "flag",
        "follow a public host's redirect to a private address",
    )
    jobs: int = _set(4, "count", "files received at a time", low=1)
    connections: int = _set(
        4,
        "count",
        "connections for a large file that one is too slow for, one file at a time; 1: never more",
        low=1,
    )
    segments_from_bytes: int = _set(
        32 << 20, "bytes", "with less of a file to come, no further connection is made for it", low=1 << 20
    )
    lock_timeout_s: float = _set(
        600.0, "s", "how long another process may take over a file before it is got beside it", low=0
    )
    join_timeout_s: float = _set(
        600.0, "s", "how long a call waits for another one that is getting the same models", low=0
    )
    max_unsized_bytes: int = _set(10 << 30, "bytes", "cap for a file of unknown size", low=1)
    reserve_bytes: int = _set(100_000_000, "bytes", "disk space to leave free", low=0)
    metrics_retention_h: float = _set(24.0, "h", "age at which metrics are deleted", low=0)
    bak_days: float = _set(7.0, "days", "age at which a file set aside is deleted", low=0)
    waiting_days: float = _set(
        90.0, "days", "age at which a new version that nobody put in force is deleted by `fallback gc`", low=0
    )
    partial_idle_s: float = _set(3600.0, "s", "idle time after which a partial is deleted", low=0)
    warn_total_bytes: int = _set(
        2_000_000_000, "bytes", "a larger manifest or, by `fallback gc`, folder is warned of", low=0
    )
    revalidate_h: float = _set(
        24.0,
        "h",
        "HuggingFace is asked for a model's version no sooner than so long after the last time",
        low=24,
    )
    stale_days: float = _set(
        90.0,
        "days",
        "without an answer for so long, a model is said to be stale; it is served all the same",
        low=0,
    )
    unsafe_allow_missing_sha256: bool = _set(False, "flag", "take files whose manifest names no sha256")  # noqa: FBT003 - a default
    base_url: str = _set("/gm", "prefix", "path of the server's pages and API")
    serve_host: str = _set(
        "127.0.0.1", "address", "address the server listens on; needs a token if not loopback"
    )
    serve_port: int = _set(8484, "port", "port the server listens on; 0: any that is free", low=0)
    serve_token: str | None = _set(
        None, "secret", "what requests to the server must bring, as Bearer or as a password", secret=True
    )
    serve_names: tuple[str, ...] = _set(
        (), "names", "host names the server answers to, besides localhost and IP addresses"
    )
    serve_clients: int = _set(1000, "clients", "connections the server keeps at once", low=1)
    share: bool = _set(False, "flag", "the server gives verified files to other machines")  # noqa: FBT003 - a default
    share_token: str | None = _set(
        None, "secret", "what requests for files may bring instead of serve_token", secret=True
    )
    share_transfers: int = _set(32, "count", "files the server gives at a time; more are told to wait", low=1)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = {name: (getattr(self, name), "given") for name in _fields()}
        for name, value in _all_checked(own, []).items():
            object.__setattr__(self, name, value)

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

        Args:
            flags: by field name; None and () are flags that were not given.
            environ: os.environ if None. An empty variable is not set; "none" means no value at all.
            config: the TOML file; else `FALLBACK_CONFIG`, else fallback.toml here if there is one.

        Raises:
            SettingsError: something cannot be read as what it should be; it says what and where.
        """
        flags = {name: value for name, value in (flags or {}).items() if value not in (None, ())}
        environ = os.environ if environ is None else environ
        config = config or environ.get(f"{given.PREFIX}CONFIG") or (CONFIG if Path(CONFIG).exists() else None)
        problems: Problems = []
        known = _fields()
        raw = {
            **(given.from_toml(Path(config), known, problems) if config else {}),
            **given.from_environ(environ, known),
            **given.only_known(flags, "flag", known, problems),
        }
        read = {name: (values.read(known[name], value), origin) for name, (value, origin) in raw.items()}
        good = _all_checked(read, problems)
        origins = {name: read[name][1] if name in read else "default" for name in known}
        return cls(**good, origins=origins)


def _fields() -> dict[str, dataclasses.Field[Any]]:
    return {each.name: each for each in dataclasses.fields(Settings) if each.name != "origins"}


def _all_checked(read: Mapping[str, tuple[Any, str]], problems: Problems) -> dict[str, Any]:
    """The values as `values.checked` has them; raises a SettingsError of these problems and those before."""
    good = {}
    for name, (value, origin) in read.items():
        try:
            good[name] = values.checked(_fields()[name], value)
        except ValueError as error:
            problems.append((name, f"{error} ({origin})"))
    if problems:
        lines = (f"{name}: {what}" for name, what in problems[:SHOWN])
        raise SettingsError(f"settings cannot be used:{listed(lines, len(problems))}")
    return good
