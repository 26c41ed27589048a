"""Faults of the status line: errors, rationing, retirement, and redirects that lead nowhere good."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from fakes.answer import Answer, text_answer
from fakes.cdn import expired
from fakes.faults.base import Fault, final_status
from fakes.quota import Spent, rationed

if TYPE_CHECKING:
    from fakes.answer import Request, Serve

_MOST_S = 1e10  # 300 years


@dataclass(frozen=True)
class Status(Fault, name="status", numbers=(15, 16, 17, 18, 19, 20, 21, 22, 23, 25, 107), group="status"):
    """An answer of that status, with Retry-After as given (seconds or any text) or as an HTTP date so many seconds off."""

    status: int = 500
    retry_after: int | str | None = None
    retry_after_date_s: float | None = None
    sunset: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    def __post_init__(self) -> None:
        final_status(self, self.status)
        if abs(self.retry_after_date_s or 0) > _MOST_S:
            raise ValueError(
                f"fault 'status': retry_after_date_s is at most {_MOST_S:.0f} off, for dates to exist"
            )

    def answer(self, request: Request, serve: Serve) -> Answer:
        """This status, and no file."""
        del request, serve
        extra = {"Cache-Control": "no-store", **self.headers}
        if self.retry_after is not None:
            extra["Retry-After"] = str(self.retry_after)
        if self.retry_after_date_s is not None:
            extra["Retry-After"] = email.utils.formatdate(time.time() + self.retry_after_date_s, usegmt=True)
        if self.sunset is not None:
            extra["Sunset"] = self.sunset
        if self.status in {204, 304}:
            return Answer(self.status, tuple(extra.items()))  # neither has a body (RFC 9110 section 15)
        if self.status == 205 and self.body is None:
            return text_answer(205, "", extra)  # nor has this one, and says so
        return text_answer(self.status, self.body or f"fault: status {self.status}\n", extra)


@dataclass(frozen=True)
class ProxyAuth(Fault, name="proxy-auth", numbers=(88,), group="status"):
    """407 to a client that takes this server for its proxy: a password is wanted."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """RFC 9110 section 15.5.8: with the challenge."""
        del request, serve
        challenge = {"Proxy-Authenticate": 'Basic realm="fakes"'}
        return text_answer(407, "a user name and a password, please\n", challenge)


@dataclass(frozen=True)
class RateLimited(Fault, name="rate-limited", numbers=(18,), group="status"):
    """429 of the Hub, which says when to come back in RateLimit alone: nothing left (r=0), `seconds` to go (t)."""

    seconds: int = 2

    def answer(self, request: Request, serve: Serve) -> Answer:
        """As of a quota that is used up; a World's `hub_quota` is one that counts."""
        del request, serve
        return rationed().with_headers(Spent("resolvers", 3000, 300, 0, self.seconds).headers())


@dataclass(frozen=True)
class Retired(Fault, name="retired", numbers=(18, 21), group="status"):
    """429 (or 410) with a Sunset that has passed: the public gateways since September 2026, which never come back."""

    status: int = 429
    sunset: str = "Mon, 21 Sep 2026 00:00:00 GMT"
    retry_after: int | str | None = 900

    def __post_init__(self) -> None:
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """What ipfs.io and dweb.link say to every path request."""
        link = {"Link": '<https://gatewaychanges.ipfs.io/>; rel="sunset"'}
        body = "This IPFS gateway is switching to a service worker gateway only.\n"
        said = Status(self.status, self.retry_after, sunset=self.sunset, headers=link, body=body)
        return said.answer(request, serve)


@dataclass(frozen=True)
class Redirect(Fault, name="redirect", numbers=(14, 66, 67, 68), group="redirect"):
    """A redirect to any URL; {path} and {query} in it stand for the request's own."""

    location: str
    status: int = 302
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Location as given, and further headers (a Set-Cookie, say) as given."""
        del serve
        target = self.location.replace("{path}", quote(request.path)).replace("{query}", request.query)
        return text_answer(self.status, "", {"Location": target, **self.headers})


@dataclass(frozen=True)
class RedirectLoop(Fault, name="redirect-loop", numbers=(63, 64), group="redirect"):
    """Redirects to the same place for ever, or `hops` times before the answer comes."""

    hops: int | None = None
    status: int = 302

    def __post_init__(self) -> None:
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """One hop more, counted in the query because a fake keeps no memory of its clients."""
        counted = parse_qs(request.query).get("hop", ["0"])[-1]
        hop = int(counted) if counted.isdecimal() else 0
        if self.hops is not None and hop >= self.hops:
            return serve(request)
        kept = [part for part in request.query.split("&") if part and not part.startswith("hop=")]
        location = f"{request.raw_path or quote(request.path)}?{'&'.join([*kept, f'hop={hop + 1}'])}"
        return text_answer(self.status, "", {"Location": location})


@dataclass(frozen=True)
class RedirectRing(Fault, name="redirect-ring", numbers=(65,), group="redirect"):
    """Redirects in a ring of hosts (names of this machine, each an origin of its own to a client), for ever."""

    hosts: str = "127.0.0.1 localhost"
    status: int = 302

    def __post_init__(self) -> None:
        if not self.hosts.split():
            raise ValueError("fault 'redirect-ring': hosts are names, with spaces between them")
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The same path at the next host; one that is none of the ring enters it at its first."""
        del serve
        host, _, port = (request.header("host") or "").rpartition(":")
        ring = self.hosts.split()
        following = ring[(ring.index(host) + 1) % len(ring)] if host in ring else ring[0]
        path = request.raw_path or quote(request.path)
        query = f"?{request.query}" if request.query else ""
        return text_answer(self.status, "", {"Location": f"http://{following}:{port}{path}{query}"})


@dataclass(frozen=True)
class ExpiredSignature(Fault, name="expired-signature", numbers=(69,), group="redirect"):
    """403 and the CDN's own words for a signed URL whose time is over, whatever the URL says; aim it at a resume."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """As a CDN answers between one range and the next; the original URL gives a fresh one."""
        del request, serve
        return expired()
