"""One HTTP exchange as data: the `Request` sent, and the `Head` of what came back. Pure.

Exclusions: no sockets (`transport`), and no judgement of a status (`sources`). What a server wrote
is parsed strictly and bounded here; what cannot be parsed counts as not said.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from fallback.outcome import Failed, Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from fallback.streams import Stream

CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.IGNORECASE)
UNSATISFIED = re.compile(r"bytes \*/(\d{1,19})", re.ASCII | re.IGNORECASE)
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"', re.ASCII)
"""RFC 9110, 8.8.3, less obs-text; what is sent back in If-Range must not be able to break a header."""

SPENT = re.compile(r'"[^"]*";r=0;t=(\d{1,9})', re.ASCII)
"""RateLimit with nothing left, and the seconds until there is again: how HuggingFace says when to come back."""

SECRET_CHARS = 8
"""Of a shorter text nobody could say that a URL holds it and not a word of its own; no token in use is."""

NUMBER = re.compile(r"\d{1,19}", re.ASCII)
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@functools.lru_cache(maxsize=256)
def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: who gets a credential, and whose ETag it is (RFC 6454)."""
    parts = urlsplit(url)
    return (
        parts.scheme.lower(),
        (parts.hostname or "").lower(),
        parts.port or {"http": 80, "https": 443}.get(parts.scheme.lower()),
    )


@functools.lru_cache(maxsize=256)
def host_of(url: str) -> str:
    """The host, with the port if the URL has one: how sources are named."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port else host


def usable(url: str) -> bool:
    """Whether it is an http or https URL with a host, of printable ASCII."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return whole and all(0x20 < ord(char) < 0x7F for char in url)


_CARRIERS = tuple(
    ipaddress.IPv6Network(each) for each in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
"""IPv6 networks whose last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64 (RFC 4291, 2765, 6052)."""

_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215: translation within a network; Python 3.11 takes it for global."""


def is_public(address: str) -> bool:
    """Whether an IP address is one host's, reachable from anywhere: not loopback, link-local or a private network's.

    "" is a host whose address only a proxy knows: public, for who is not has no need of one.
    """
    if not address:
        return True
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_site_local or ip in _LOCAL_NAT64:
            return False
        if ip.sixtofour is not None:
            ip = ip.sixtofour
        elif any(ip in each for each in _CARRIERS):
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not ip.is_multicast


def without_query(url: str) -> str:
    """The URL as logs may show it: a query may be a signature, userinfo is a secret (P7)."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether one of `secrets` stands in it; a host's name has no case."""
    return any(len(each) >= SECRET_CHARS and each.casefold() in text.casefold() for each in secrets)


def _values(url: str) -> list[str]:
    """What a query says, of which any may be a signature."""
    return [value for _, value in parse_qsl(urlsplit(url).query)]


@dataclass(frozen=True, slots=True)
class Request:
    """A GET, or a HEAD. `token` goes to the origin of the URL it was made with, and nowhere else."""

    url: str
    token: str | None = field(default=None, repr=False)
    offset: int = 0
    """Bytes that are not asked for: they are here already."""
    stop: int | None = None
    """Where what is asked for ends; None: with the file."""
    if_range: tuple[str, str] | None = None
    """An entity tag, and the host that it means something to: two hosts' tags are never of one kind."""
    accept: str = "*/*"
    by_blocks: bool = False
    """The URL says which part, and what comes are blocks."""
    method: Literal["GET", "HEAD"] = "GET"
    is_peer: bool = False
    """To a machine of this network: past any proxy, led nowhere else, and by range also from the first byte, for
    it may have no more than a part."""
    if_none_match: str | None = None
    """An entity tag of what is known already: 304 is an answer then, and says that it is still so."""
    stream: Stream | None = None
    """The bytes are read from this, and nothing is sent; `url` is what people are told."""

    @property
    def is_ranged(self) -> bool:
        """Whether it asks for a part of the file."""
        return self.offset > 0 or self.stop is not None or self.is_peer

    def resuming(
        self, offset: int, etag: str | None = None, host: str = "", *, stop: int | None = None
    ) -> Request:
        """This request for the bytes from `offset` to `stop`, if the file is still the one that has `etag` at `host`."""
        part = replace(self, offset=offset, stop=stop)
        return replace(part, if_range=(etag, host) if part.is_ranged and etag else None)

    def headers(self) -> dict[str, str]:
        """What is sent. Never a content coding: a CDN that compresses ignores Range (RFC 9110, 14.2)."""
        headers = {"Accept": self.accept, "Accept-Encoding": "identity"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.is_ranged and not self.by_blocks:
            headers["Range"] = f"bytes={self.offset}-{'' if self.stop is None else self.stop - 1}"
        if self.if_range and self.if_range[1] == host_of(self.url):
            headers["If-Range"] = self.if_range[0]
        if self.if_none_match:
            headers["If-None-Match"] = self.if_none_match
        return headers

    def redirected(self, location: str) -> Request:
        """The request that follows a redirect: the token stays behind when the origin changes.

        Raises:
            Failed: Malformed, for a target that DESIGN.md ("Jitter … Redirects") refuses.
        """
        try:
            url = urljoin(self.url, location)
            old, new = origin(self.url), origin(url)
        except ValueError:
            raise Failed(Malformed("redirect refused: its Location is not a URL")) from None
        if _holds(unquote(location), [self.token or ""]) or _holds(new[1], _values(self.url)):
            raise Failed(Malformed("redirect refused: a secret of ours stands in its Location"))
        if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in location):
            raise Failed(Malformed("redirect refused: control characters in its Location"))
        if new[0] not in {"http", "https"} or not new[1]:
            raise Failed(
                Malformed(
                    "redirect refused: to another scheme or to no host; only http and https are followed"
                )
            )
        if old[0] == "https" and new[0] == "http":
            raise Failed(Malformed("redirect refused: from https to http"))
        return replace(self, url=url, token=self.token if new == old else None)


@dataclass(frozen=True, slots=True)
class Upload:
    """A POST of `size` bytes, which are made as they are sent; `headers` may hold a key, and go to this URL alone."""

    url: str
    body: Callable[[], Iterable[bytes]]
    size: int
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """`Content-Range: bytes start-end/total`; `end` is the last byte's offset, `total` None for `*`."""

    start: int
    end: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, and the URL that gave it after redirects.

    `headers` has lower-case names. `excerpt` is the beginning of an error's body: some gateways
    say 500 for a file they do not have, and only the text tells (facts of boxo).
    """

    status: int
    headers: Mapping[str, str]
    url: str
    excerpt: str = ""

    @property
    def location(self) -> str | None:
        """Where a redirect leads; None if this is not one."""
        return self.headers.get("location") if self.status in REDIRECTS else None

    @property
    def content_length(self) -> int | None:
        """Bytes of body that were announced; None if none were, or it cannot be read."""
        told = {text.strip() for text in self.headers.get("content-length", "").split(",")}
        [text, *others] = told
        return int(text) if not others and NUMBER.fullmatch(text) else None

    @property
    def framed(self) -> bool:
        """Whether it is clear where the body ends: a length that is none makes it unclear (RFC 9112, 6.3)."""
        return (
            self.content_length is not None
            or "content-length" not in self.headers
            or "transfer-encoding" in self.headers
        )

    @property
    def content_range(self) -> ContentRange | None:
        """Which bytes a 206 holds; None when not said, or not understood."""
        match = CONTENT_RANGE.fullmatch(self.headers.get("content-range", ""))
        if match is None:
            return None
        start, end, total = match.groups()
        return ContentRange(int(start), int(end), None if total == "*" else int(total))

    @property
    def complete_length(self) -> int | None:
        """Bytes the file has there, as a 416 says it (`bytes */n`; RFC 9110, 15.5.17)."""
        match = UNSATISFIED.fullmatch(self.headers.get("content-range", ""))
        return int(match[1]) if match else None

    @property
    def strong_etag(self) -> str | None:
        """The entity tag if it is a strong one: only those may go into If-Range (RFC 9110, 13.1.5)."""
        tag = self.headers.get("etag", "")
        return tag if STRONG_ETAG.fullmatch(tag) else None

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def encoded(self) -> bool:
        """A content coding was applied though none was asked for."""
        return self.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}

    def retry_after_s(self, now: float) -> float | None:
        """Seconds to wait, from a number or an HTTP-date (RFC 9110, 10.2.3); None: not said, or junk."""
        text = self.headers.get("retry-after", "").strip()
        if NUMBER.fullmatch(text):
            return float(text)
        date = _http_date(text)
        return None if date is None else max(0.0, date - now)

    @property
    def quota_resets_s(self) -> float | None:
        """Seconds until a spent rate limit begins anew (draft-ietf-httpapi-ratelimit-headers); None: not said, not spent."""
        match = SPENT.match(self.headers.get("ratelimit", ""))
        return float(match[1]) if match else None

    def sunset_passed(self, now: float) -> bool:
        """Whether a `Sunset` (RFC 8594) lies in the past: the service is gone for good."""
        date = _http_date(self.headers.get("sunset", ""))
        return date is not None and date <= now


def _http_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    # An HTTP-date is always GMT; one that does not say so is read as if it did (RFC 9110, 5.6.7).
    moment: datetime = date if date.tzinfo else date.replace(tzinfo=UTC)
    return moment.timestamp()
