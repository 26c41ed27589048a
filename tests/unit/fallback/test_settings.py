"""Settings: who wins, what is refused and how it is said, and that no message tells a secret."""

from __future__ import annotations

import dataclasses
import math
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fallback.errors import SettingsError
from fallback.given import ALIASES
from fallback.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = [field for field in dataclasses.fields(Settings) if field.name != "origins"]
NAMES = [field.name for field in FIELDS]
SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No fallback.toml in the working directory, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def load(environ: Mapping[str, str] | None = None, toml: str | None = None, **flags: Any) -> Settings:
    if toml is not None:
        Path("fallback.toml").write_text(toml, encoding="utf-8")
    return Settings.load(flags, environ or {})


def refused(environ: Mapping[str, str] | None = None, toml: str | None = None, **flags: Any) -> list[str]:
    """The lines of the message, one a problem."""
    with pytest.raises(SettingsError) as caught:
        load(environ, toml, **flags)
    return str(caught.value).splitlines()[1:]


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    had = load()
    assert had == Settings()
    assert had.models_dir == tmp_path / "home/.gmgui/models"
    assert had.state_path == had.models_dir / ".fallback"
    assert had.gateways == (
        "https://cloudflare-ipfs.com",
        "https://dweb.link",
        "https://gateway.pinata.cloud",
        "https://ipfs.io",
    )
    assert (had.hf_endpoint, had.hf_token, had.preferred_layer) == ("https://huggingface.co", None, "ipfs")
    assert (had.gateway_attempts, had.hub_attempts, had.jobs) == (2, 3, 4)
    assert (had.backoff_s, had.timeout_s, had.connect_timeout_s) == (2, 30, 5)
    assert (had.min_rate_bytes_s, had.last_source_min_rate_bytes_s) == (1000, 100)
    assert (had.deadline_s, had.max_wait_s, had.partial_idle_s) == (None, 60, 3600)
    assert (had.metrics_retention_h, had.bak_days) == (24, 7)
    assert (had.reserve_bytes, had.warn_total_bytes) == (100_000_000, 2_000_000_000)
    assert had.max_unsized_bytes == 10 * 1024**3
    assert not had.offline
    assert not had.unsafe_allow_missing_sha256
    assert set(had.origins.values()) == {"default"}


def test_every_setting_says_what_it_is_and_in_which_unit() -> None:
    for field in FIELDS:
        assert field.metadata["help"]
        assert field.metadata["unit"]
        number = str(field.type).startswith(("int", "float"))
        assert (field.metadata["low"] is not None) == (field.metadata["high"] is not None) == number


@pytest.mark.parametrize(
    ("environ", "toml", "flags", "value", "origin"),
    [
        ({}, "", {}, 4, "default"),
        ({}, "jobs = 5", {}, 5, "fallback.toml"),
        ({"FALLBACK_JOBS": "6"}, "jobs = 5", {}, 6, "environment FALLBACK_JOBS"),
        ({"FALLBACK_JOBS": "6"}, "jobs = 5", {"jobs": 7}, 7, "flag"),
        ({"FALLBACK_JOBS": " "}, "jobs = 5", {"jobs": None}, 5, "fallback.toml"),
        ({"FALLBACK_JOBS": "nonsense"}, "jobs = 500", {"jobs": 7}, 7, "flag"),
    ],
)
def test_who_wins(environ: dict[str, str], toml: str, flags: dict[str, Any], value: int, origin: str) -> None:
    had = load(environ, toml, **flags)
    assert (had.jobs, had.origins["jobs"]) == (value, origin)
    assert list(had.origins) == NAMES


@pytest.mark.parametrize(
    ("environ", "value", "origin"),
    [
        ({"HF_ENDPOINT": "http://mirror"}, "http://mirror", "environment HF_ENDPOINT"),
        (
            {"HF_ENDPOINT": "http://mirror", "FALLBACK_HF_ENDPOINT": "http://ours"},
            "http://ours",
            "environment FALLBACK_HF_ENDPOINT",
        ),
    ],
)
def test_the_hubs_own_variables_come_below_ours_and_above_the_file(
    environ: dict[str, str], value: str, origin: str
) -> None:
    had = load(environ, 'hf_endpoint = "http://file"')
    assert (had.hf_endpoint, had.origins["hf_endpoint"]) == (value, origin)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("FALLBACK_GATEWAYS", "http://a/, http://b\nhttp://c", ("http://a", "http://b", "http://c")),
        ("FALLBACK_GATEWAYS", "none", ()),
        ("FALLBACK_GATEWAYS", "HTTPS://Gateway.Example:8443/base/", ("https://gateway.example:8443/base",)),
        ("FALLBACK_DEADLINE_S", "1.5", 1.5),
        ("FALLBACK_DEADLINE_S", "none", None),
        ("FALLBACK_TIMEOUT_S", "1e1", 10.0),
        ("FALLBACK_RESERVE_BYTES", "0", 0),
        ("FALLBACK_PREFERRED_LAYER", "huggingface", "huggingface"),
        ("FALLBACK_MODELS_DIR", "/srv/models", Path("/srv/models")),
        ("FALLBACK_OFFLINE", "no", False),
        ("HF_HUB_OFFLINE", "1", True),
        ("HF_HUB_OFFLINE", "TRUE", True),
        ("HF_HUB_OFFLINE", "Yes", True),
        ("HF_HUB_OFFLINE", "on", True),
        ("HF_HUB_OFFLINE", "0", False),
        ("HF_TOKEN", f"{SECRET}\n", SECRET),
        ("FALLBACK_MIRROR", "HTTPS://Mirror.Example/models/", "https://mirror.example/models"),
        ("FALLBACK_MIRROR", "s3://Bucket/prefix/", "s3://Bucket/prefix"),
        ("FALLBACK_MIRROR", "file:///srv/models", "file:///srv/models"),
        ("FALLBACK_UNKNOWN", "ignored", None),
    ],
)
def test_text_is_read_by_the_type_of_its_setting(name: str, text: str, value: Any) -> None:
    had = load({name: text})
    field = ALIASES.get(name, name.removeprefix("FALLBACK_").lower())
    assert getattr(had, field, None) == value
    assert type(getattr(had, field, None)) is type(value) or isinstance(value, Path)


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    config = tmp_path / "conf" / "x.toml"
    config.write_text('models_dir = "models"\nstate_dir = "~/state"\nmanifest = "/m.json"\n')
    had = Settings.load({}, {"FALLBACK_CONFIG": str(config)})
    assert had.models_dir == tmp_path / "conf/models", "relative to the file that says it"
    assert had.state_dir == had.state_path == tmp_path / "home/state"
    assert had.manifest == Path("/m.json")
    assert had.origins["manifest"] == str(config)
    assert load({"FALLBACK_MODELS_DIR": "models"}).models_dir == tmp_path / "models"
    assert Settings.load({}, {"FALLBACK_CONFIG": "absent.toml"}, config).manifest == Path("/m.json")


URL_OF = f"https://me:{SECRET}@host"


@pytest.mark.parametrize(
    ("environ", "toml", "flags", "line"),
    [
        (
            {"FALLBACK_JOBS": "many"},
            None,
            {},
            "jobs: 'many' is not a whole number (environment FALLBACK_JOBS)",
        ),
        ({}, "jobs = 1.5", {}, "jobs: 1.5 is not a whole number (fallback.toml)"),
        ({}, "jobs = true", {}, "jobs: True is not a whole number (fallback.toml)"),
        ({}, None, {"jobs": 0}, "jobs: 0 is not from 1 to 256 (count) (flag)"),
        (
            {},
            None,
            {"jobs": 10**30},
            "jobs: 1000000000000000000000000000000 is not from 1 to 256 (count) (flag)",
        ),
        ({}, f"backoff_s = 1{'0' * 400}", {}, "backoff_s: 1000"),
        ({}, f"jobs = 0x1{'0' * 9000}", {}, "jobs: "),
        ({"FALLBACK_BACKOFF_S": "nan"}, None, {}, "backoff_s: nan is not from 0"),
        ({"FALLBACK_BACKOFF_S": "-1"}, None, {}, "backoff_s: -1.0 is not from 0"),
        ({"FALLBACK_TIMEOUT_S": "inf"}, None, {}, "timeout_s: inf is not from 0.1"),
        ({"FALLBACK_TIMEOUT_S": "none"}, None, {}, "timeout_s: 'none' is not a number"),
        ({}, "timeout_s = [1]", {}, "timeout_s: [1] is not a number"),
        (
            {"HF_HUB_OFFLINE": "maybe"},
            None,
            {},
            "offline: 'maybe' is neither True nor False (environment HF_HUB",
        ),
        ({}, "offline = 1", {}, "offline: 1 is neither True nor False"),
        (
            {},
            'preferred_layer = ["ipfs"]',
            {},
            "preferred_layer: ['ipfs'] is neither 'ipfs' nor 'huggingface'",
        ),
        ({"FALLBACK_PREFERRED_LAYER": "cache"}, None, {}, "preferred_layer: 'cache' is neither"),
        ({}, 'gateway = "x"', {}, "'gateway': is no setting; did you mean 'gateways'? (fallback.toml)"),
        ({}, "[fallback]\njobs = 3", {}, "'fallback': is no setting (fallback.toml)"),
        ({}, None, {"job": 3}, "'job': is no setting; did you mean 'jobs'? (flag)"),
        ({}, "origins = {}", {}, "'origins': is no setting"),
        ({}, "jobs = ", {}, "fallback.toml: cannot be read: Invalid value (at "),
        ({}, "a = " + "[" * 10_000, {}, "fallback.toml: cannot be read: "),
        ({"FALLBACK_CONFIG": "/absent.toml"}, None, {}, "/absent.toml: cannot be read: No such file"),
        ({"FALLBACK_CONFIG": "/"}, None, {}, "/: cannot be read: Is a directory"),
        (
            {"FALLBACK_GATEWAYS": "http://a http://b http://A/"},
            None,
            {},
            "gateways: number 3 is a URL listed before",
        ),
        ({}, "gateways = [1]", {}, "gateways: number 1 is not a URL of plain ASCII"),
        ({}, "gateways = 1", {}, "gateways: is not a list of URLs"),
        (
            {"FALLBACK_GATEWAYS": "http://a dweb.link"},
            None,
            {},
            "gateways: number 2 is not an http or https URL",
        ),
        (
            {"HF_ENDPOINT": "ftp://host"},
            None,
            {},
            "hf_endpoint: is not an http or https URL with a host (env",
        ),
        ({"HF_ENDPOINT": "https://"}, None, {}, "hf_endpoint: is not an http or https URL with a host"),
        ({"HF_ENDPOINT": "http://a b"}, None, {}, "hf_endpoint: is not a URL of plain ASCII"),
        ({"HF_ENDPOINT": "http://a\\@b"}, None, {}, "hf_endpoint: is not a URL of plain ASCII"),
        ({"HF_ENDPOINT": "http://ḧost"}, None, {}, "hf_endpoint: is not a URL of plain ASCII"),
        ({"HF_ENDPOINT": "http://a:99999"}, None, {}, "hf_endpoint: is not a URL (env"),
        ({"HF_ENDPOINT": "http://[::1"}, None, {}, "hf_endpoint: is not a URL (env"),
        ({"HF_ENDPOINT": URL_OF}, None, {}, "hf_endpoint: is a URL with a user, password"),
        ({"FALLBACK_MIRROR": "/srv/models"}, None, {}, "mirror: is neither an http URL nor that of a store"),
        ({"FALLBACK_MIRROR": f"s3://{SECRET}@bucket/x"}, None, {}, "mirror: is a URL with a user, query"),
        ({"FALLBACK_MIRROR": "simplecache::s3://bucket"}, None, {}, "mirror: is neither an http URL"),
        ({"FALLBACK_MIRROR": "zip://a.zip::s3://b"}, None, {}, "mirror: is a URL with a user, query"),
        (
            {"HF_ENDPOINT": f"http://a/?t={SECRET}"},
            None,
            {},
            "hf_endpoint: is a URL with a user, password, query",
        ),
        (
            {"HF_ENDPOINT": "http://a#"},
            None,
            {},
            "hf_endpoint: is a URL with a user, password, query or fragment",
        ),
        ({"FALLBACK_MODELS_DIR": "a\0b"}, None, {}, "models_dir: 'a\\x00b' is not a path"),
        ({}, None, {"models_dir": ""}, "models_dir: '' is not a path (flag)"),
        ({}, None, {"ca_bundle": "/absent.pem"}, "ca_bundle: /absent.pem cannot be read: No such file"),
        ({"FALLBACK_CA_BUNDLE": "/dev/null"}, None, {}, "ca_bundle: /dev/null holds no certificates as PEM"),
        (
            {},
            None,
            {"models_dir": "~nobody-of-this-name/x"},
            "models_dir: '~nobody-of-this-name/x' names a home",
        ),
    ],
)
def test_refused(environ: dict[str, str], toml: str | None, flags: dict[str, Any], line: str) -> None:
    """The message names the setting and where it was set."""
    lines = refused(environ, toml, **flags)
    assert len(lines) == 1
    assert lines[0].strip().startswith(line)
    assert len(lines[0]) < 200


def test_a_configuration_that_is_not_utf8() -> None:
    Path("fallback.toml").write_bytes(b"jobs = '\xff'")
    assert "fallback.toml: cannot be read: 'utf-8'" in refused()[0]


def test_all_problems_of_one_load_at_once() -> None:
    lines = refused(
        {"FALLBACK_JOBS": "0", "HF_TOKEN": "a b"}, 'gateway = 1\nbackoff_s = "x"', preferred_layer="cache"
    )
    assert {line.strip().partition(":")[0] for line in lines} == {
        "'gateway'", "jobs", "hf_token", "backoff_s", "preferred_layer"
    }  # fmt: skip


@pytest.mark.parametrize(
    "environ",
    [
        {"HF_TOKEN": f"{SECRET} {SECRET}"},
        {"HF_TOKEN": f"{SECRET}\r\nX: y"},
        {"HF_TOKEN": f"{SECRET}é"},
        {"HF_ENDPOINT": URL_OF},
        {"HF_ENDPOINT": f"ftp://me:{SECRET}@host"},
        {"HF_ENDPOINT": f"https://me:{SECRET}@[host"},
        {"HF_ENDPOINT": f"https://host:{SECRET}"},
        {"HF_ENDPOINT": f"https://host/?token={SECRET}"},
        {"FALLBACK_GATEWAYS": f"http://a {URL_OF} http://b"},
        {"FALLBACK_GATEWAYS": f"me:{SECRET}@host"},
    ],
)
def test_no_message_tells_a_secret(environ: dict[str, str]) -> None:
    """Promise P7; nor does the chain of causes, which a traceback prints."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, environ)
    error: BaseException | None = caught.value
    while error:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__


def test_repr_has_no_token() -> None:
    had = Settings(hf_token=SECRET)
    assert had.hf_token == SECRET
    assert SECRET not in repr(had)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"jobs": "4"}, "jobs: '4' is not a whole number"),
        ({"jobs": 0, "timeout_s": None}, "timeout_s: None is not a number"),
        ({"gateways": "http://a"}, "gateways: is not a list of URLs"),
        ({"gateways": ("http://a", "http://a/")}, "gateways: number 2 is a URL listed before"),
        ({"models_dir": None}, "models_dir: None is not a path"),
        ({"preferred_layer": "cache"}, "preferred_layer: 'cache' is neither"),
        ({"hf_token": "a\nb"}, "hf_token: is not text that an HTTP header can carry"),
        ({"offline": "yes"}, "offline: 'yes' is neither"),
    ],
)
def test_made_in_code_they_are_checked_too(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(what)):
        Settings(**fields)


def test_made_in_code_they_have_one_form() -> None:
    had = Settings(gateways=["http://A/"], timeout_s=3, models_dir="~/x")  # type: ignore[arg-type] # as callers do
    assert had.gateways == ("http://a",)
    assert isinstance(had.timeout_s, float)
    assert had.models_dir.is_absolute()
    assert hash(had) == hash(dataclasses.replace(had))


TEXTS = (
    st.text(alphabet=string.printable, max_size=30)
    | st.text(max_size=10)
    | st.sampled_from(
        ["none", "1", "0", "-1", "1e999", "http://[", "http://a:b", "~", "~\0", "true", "//", "9" * 5000]
    )
)
VALUES = (
    TEXTS
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.lists(TEXTS, max_size=3)
    | st.binary()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.dictionaries(st.sampled_from([*NAMES, "nonsense"]), VALUES, max_size=4),
    st.dictionaries(
        st.sampled_from([*ALIASES, *(f"FALLBACK_{name.upper()}" for name in NAMES)]), TEXTS, max_size=4
    ),
    st.text(max_size=40),
)
@example({}, {"FALLBACK_CONFIG": "\0"}, "")
def test_load_raises_nothing_but_settings_errors(
    flags: dict[str, Any], environ: dict[str, str], toml: str
) -> None:
    Path("fallback.toml").write_bytes(toml.encode(errors="surrogatepass"))
    try:
        had = Settings.load(flags, environ)
    except SettingsError:
        return
    assert Settings(**{name: getattr(had, name) for name in NAMES}) == had, "one form, whoever made them"
    assert math.isfinite(had.timeout_s)
    assert had.models_dir.is_absolute()


def test_a_settings_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "fallback.toml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: it takes no room
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        Settings.load({}, {}, path)


def test_a_settings_file_with_countless_problems_has_a_message_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "fallback.toml"
    path.write_text("".join(f"x{number} = 1\n" for number in range(2000)))
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, {}, path)
    assert len(str(caught.value).splitlines()) == 52
