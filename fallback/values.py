"""A setting's value: read from text, and brought into the one form that is compared and used.

Each check belongs to a unit that a field of `Settings` has in its metadata, and says in a
`ValueError` why a value cannot be; it never quotes a URL or a secret. Exclusions: which settings
there are and where their values come from (`settings`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

_WORDS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_NOUNS = {"int": "a whole number", "float": "a number"}


def read(each: Field[Any], value: Any) -> Any:
    """Text as the field's type; unchanged if it is none or cannot be, for `checked` to refuse."""
    if not isinstance(value, str):
        return value
    kind, _, may_lack = str(each.type).partition(" | ")
    text = value.strip()
    if kind.startswith("tuple"):
        return () if text.lower() == "none" else tuple(text.replace(",", " ").split())
    if may_lack and text.lower() == "none":
        return None
    if kind == "bool":
        return _WORDS.get(text.lower(), text)
    if kind in _NOUNS:
        with contextlib.suppress(ValueError):
            return int(text) if kind == "int" else float(text)
    return text


def checked(each: Field[Any], value: Any) -> Any:
    """`value` in the one form that is compared and used; ValueError says why it cannot be."""
    if value is None and str(each.type).endswith(" | None"):
        return None
    check = _CHECKS.get(each.metadata["unit"])
    return check(value) if check else _number(each, value)


def _number(each: Field[Any], value: Any) -> int | float:
    kind, low, high = str(each.type).removesuffix(" | None"), each.metadata["low"], each.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, int if kind == "int" else int | float):
        raise ValueError(f"{shown(value)} is not {_NOUNS[kind]}")  # noqa: TRY004 - a value's problem; see checked
    if not low <= value <= high:  # NaN is not, either
        raise ValueError(f"{shown(value)} is not from {low:g} to {high:g} ({each.metadata['unit']})")
    return value if kind == "int" else float(value)


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{shown(value)} is not a path")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{shown(str(value))} names a home folder that is not known") from None


def _certificates(value: Any) -> Path:
    import ssl  # noqa: PLC0415 - 20 ms of a warm start that few have a use for

    path = _path(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificates as PEM") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return path


def _url(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value) or set(value) & set('\\"<>'):
        raise ValueError("is not a URL of plain ASCII")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError("is not a URL") from None  # its message quotes the value
    if not usable:
        raise ValueError("is not an http or https URL with a host")
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError("is a URL with a user, password, query or fragment, which is not accepted")
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), "", ""))


def _store(value: Any) -> str:
    if isinstance(value, str) and re.match(r"https?://", value, re.IGNORECASE):
        return _url(value)
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-~]+", value):
        raise ValueError(
            "is neither an http URL nor that of a store, such as s3://bucket/prefix or file:///path"
        )
    if set(value) & set('@?#"<>\\') or "::" in value:
        raise ValueError("is a URL with a user, query, fragment or chain, which is not accepted")
    return value.rstrip("/")


def _urls(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("is not a list of URLs")  # noqa: TRY004 - as above
    urls: list[str] = []
    for number, each in enumerate(value, start=1):
        try:
            url = _url(each)
        except ValueError as error:
            raise ValueError(f"number {number} {error}") from None
        if url in urls:
            raise ValueError(f"number {number} is a URL listed before")
        urls.append(url)
    return tuple(urls)


def _prefix(value: Any) -> str:
    text = value.rstrip("/") if isinstance(value, str) else None
    if text is None or not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", text):
        raise ValueError(f"{shown(value)} is not a path like /gm")
    return text


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))
    except ValueError:
        raise ValueError(f"{shown(value)} is not an IP address, nor localhost") from None


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("is not a list of host names")  # noqa: TRY004 - as above
    for each in value:
        if not isinstance(each, str) or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", each):
            raise ValueError(f"{shown(each)} is not a host name without a port")
    return tuple(dict.fromkeys(each.lower() for each in value))


def _secret(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("is not text that an HTTP header can carry (its value is not shown)")
    return text


def _one_of(allowed: tuple[str | bool, ...], value: Any) -> Any:
    if type(value) is type(allowed[0]) and value in allowed:  # 1 is no flag
        return value
    raise ValueError(f"{shown(value)} is neither {allowed[0]!r} nor {allowed[1]!r}")


def shown(value: Any) -> str:
    """A value in a message: shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "path": _path,
    "certificates": _certificates,
    "URL": _url,
    "URLs": _urls,
    "store": _store,
    "secret": _secret,
    "prefix": _prefix,
    "address": _address,
    "names": _names,
    "layer": partial(_one_of, ("ipfs", "huggingface")),
    "flag": partial(_one_of, (True, False)),
}
