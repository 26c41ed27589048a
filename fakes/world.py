"""A world of fakes, started in one call: gateways, a Hub and its CDN, peers, one journal, rules that spoil what you name.

    with World(size="small") as world:
        world.add("gateway1", Status(404))
        download(world.gateways, world.hub, world.manifest())
        assert world.journal.select(server="gateway1")

Everything runs on one background thread and listens on 127.0.0.1 alone, each server on a port of its own, so the CDN is
another origin than the Hub. Leaving the block ends every connection, also the stalled ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fakes.access import Access
from fakes.blockstore import Blockstore
from fakes.catalogue import Catalogue
from fakes.cdn import Cdn
from fakes.control import control
from fakes.faults.connect import Blackhole
from fakes.gateway import Gateway
from fakes.host import Host, Listener
from fakes.hub import Hub
from fakes.journal import Journal
from fakes.kubo import Kubo
from fakes.peer import Peer
from fakes.pinata import JWT, Pinata
from fakes.play import Fake
from fakes.quota import Quota
from fakes.rules import Rule, Rules
from fakes.scenarios import Scenario, shipped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import TracebackType

    from fakes.access import Missing
    from fakes.answer import Serve
    from fakes.catalogue import RepoType, Size
    from fakes.certificates import Certificates
    from fakes.faults import Fault
    from fakes.gateway import Mode
    from fakes.repos import HubRepo

_OTHERS = ("hub", "cdn", "pinata", "kubo")
"""Servers that a world has one of."""

_CA_VARIABLES = ("FALLBACK_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
"""By which this engine, requests, OpenSSL (with httpx and others) and curl are told whom to believe."""


class World:
    """Gateways `gateway1`… , `hub` and `cdn`, for the models of a manifest (the engine's own if None).

    `scenario` is a Scenario or the name of a shipped one. `send_buffer` (bytes) keeps the kernel from taking more than
    the client does, so that the journal's bytes_sent are the client's; it costs speed. `url_ttl_s` is how long a signed
    URL of the CDN lives, `page_size` how many entries the Hub's `tree` gives at once.

    `token` is the Hub's one good token, without which it gives no file of the `gated` repositories; `renamed` maps a
    repository's old names to the new ones; `anonymous_missing` is "401" for a Hub that tells nobody without a token
    what is not there (see `fakes.access`). With `https` every server speaks TLS, and `ca` is the certificate (PEM) of the
    CA that signed for them, made for this world and gone with it. `hub_quota` is how many requests it answers a client in `hub_window_s`
    (None: any number). `gateway_modes` says by name which gateways serve blocks alone or redirect to subdomains, and
    `gateway_caps` which give no file of more bytes than so many, except as blocks. Unless `published`, the gateways have
    nothing until Pinata or Kubo is sent it. There are so many `peers`, which have all files: `peer1`… , each wanting
    `peer_token`, if one is given.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any] | Catalogue | None = None,
        *,
        size: Size = "small",
        scenario: Scenario | str | None = None,
        gateways: int = 4,
        send_buffer: int | None = None,
        url_ttl_s: float = 3600,
        page_size: int = 1000,
        token: str | None = None,
        gated: Collection[str] = (),
        renamed: Mapping[str, str] | None = None,
        anonymous_missing: Missing = "404",
        hub_quota: int | None = None,
        hub_window_s: float = 300,
        gateway_modes: Mapping[str, Mode] | None = None,
        gateway_caps: Mapping[str, int] | None = None,
        https: bool = False,
        published: bool = True,
        peers: int = 0,
        peer_token: str | None = None,
    ) -> None:
        self.catalogue = manifest if isinstance(manifest, Catalogue) else Catalogue(manifest, size=size)
        self.blocks = self.catalogue.blocks.copy() if published else Blockstore()
        self._scenario = scenario if isinstance(scenario, Scenario) else shipped(scenario or "healthy")
        self._names = [f"gateway{number}" for number in range(1, gateways + 1)]
        self._peer_names = [f"peer{number}" for number in range(1, peers + 1)]
        self._peer_token = peer_token
        self._send_buffer, self._url_ttl_s, self._page_size = send_buffer, url_ttl_s, page_size
        self._access = Access(token, frozenset(gated), dict(renamed or {}), anonymous_missing)
        self._quota = hub_quota, hub_window_s
        self._https = https
        self._check(self._scenario.rules)
        self._modes, self._caps = dict(gateway_modes or {}), dict(gateway_caps or {})
        unknown = sorted((set(self._modes) | set(self._caps)) - set(self._names))
        if unknown:
            raise ValueError(f"no gateway is called {', '.join(unknown)}; there are {', '.join(self._names)}")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            self._host = Host()
            opened.callback(self._host.close)
            self.journal = Journal(self._host.settle)
            self._certificates = self._make_certificates(opened) if self._https else None
            self.ca = self._certificates.ca if self._certificates else None
            self._rules, self._turn = Rules(self._apply), asyncio.Lock()
            self._listeners = {name: self._listener(name, opened) for name in self._all_names}
            self.urls = {name: listener.url for name, listener in self._listeners.items()}
            self.gateways = [self.urls[name] for name in self._names]
            self.peers = [self.urls[name] for name in self._peer_names]
            self.hub, self.cdn, self.pinata, self.kubo = (self.urls[name] for name in _OTHERS)
            for name, site in self._sites().items():
                fake = Fake(name, site, self._rules, self.journal)
                self._listeners[name].serve(fake, fake)
            self.play(self._scenario)
            self.control = self._start_control(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def _all_names(self) -> tuple[str, ...]:
        return (*self._names, *_OTHERS, *self._peer_names)

    def _listener(self, name: str, opened: contextlib.ExitStack) -> Listener:
        certificates = None if name == "control" else self._certificates
        listener = Listener(name, self._send_buffer, certificates)
        opened.callback(lambda: self._host.call(listener.end()))
        return listener

    def _make_certificates(self, opened: contextlib.ExitStack) -> Certificates:
        # Here, so that a world without https needs no cryptography.
        from fakes.certificates import Certificates  # noqa: PLC0415

        return Certificates(Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="fakes-ca-"))))

    def _start_control(self, opened: contextlib.ExitStack) -> str:
        listener = self._listener("control", opened)
        listener.serve(control(self))
        self._host.call(listener.open())
        return listener.url

    def _sites(self) -> dict[str, Serve]:
        cdn = Cdn(self.catalogue, self.cdn, ttl_s=self._url_ttl_s)
        self._hub_site = Hub(
            self.catalogue,
            cdn,
            self.hub,
            access=self._access,
            quota=Quota(*self._quota),
            page_size=self._page_size,
        )
        gateways: dict[str, Serve] = {
            name: Gateway(
                self.blocks,
                self.urls[name],
                mode=self._modes.get(name, "path"),
                cap=self._caps.get(name),
            )
            for name in self._names
        }
        return {
            **gateways,
            "hub": self._hub_site,
            "cdn": cdn,
            "pinata": Pinata(self.blocks),
            "kubo": Kubo(self.blocks),
            **{name: Peer(self.catalogue, token=self._peer_token) for name in self._peer_names},
        }

    def push(self, repo: str, changes: Mapping[str, int | None], *, repo_type: RepoType = "model") -> HubRepo:
        """Give a repository of the Hub a new commit, at which its branches stand from now on; the repository there.

        `changes`: new bytes by path in the repository, so many of them; None takes the file away. ValueError if there is
        no such repository, or no such file to take away.
        """
        return self._hub_site.push(repo_type, repo, changes)

    def manifest(self, *, proofs: bool = True) -> dict[str, Any]:
        """The manifest whose files this world serves; without `proofs`, of a file its size and sha256 alone."""
        return self.catalogue.manifest(proofs=proofs)

    def environment(self) -> dict[str, str]:
        """The environment that points the engine, and HuggingFace's own client, at this world."""
        told = {
            "FALLBACK_GATEWAYS": ",".join(self.gateways),
            "FALLBACK_HF_ENDPOINT": self.hub,
            "HF_ENDPOINT": self.hub,
            "FALLBACK_PINATA_API": self.pinata,
            "FALLBACK_PINATA_UPLOADS": self.pinata,
            "FALLBACK_KUBO_API": self.kubo,
            "PINATA_JWT": JWT,
        }
        if self.peers:
            told["FALLBACK_PEERS"] = ",".join(self.peers)
        if self.peers and self._peer_token:
            told["FALLBACK_PEER_TOKEN"] = self._peer_token
        return told | (dict.fromkeys(_CA_VARIABLES, str(self.ca)) if self.ca else {})

    def add(
        self,
        server: str,
        fault: Fault,
        *,
        path: str = "*",
        method: str | None = None,
        first: int | None = None,
        nth: int | None = None,
        probability: float | None = None,
        seed: int = 0,
        after: int | None = None,
    ) -> int:
        """From now on, play this fault where the aim says (see `fakes.rules`); returns an id for `remove`."""
        return self.add_rule(Rule(server, fault, path, method, first, nth, probability, seed, after))

    def add_rule(self, rule: Rule) -> int:
        """The same, with fault and aim in one; ValueError if this world cannot play it."""
        self._check([rule])
        if not any(fnmatchcase(name, rule.server) for name in self.urls):
            raise ValueError(f"no server is called {rule.server!r}; there are {', '.join(self.urls)}")
        return self._rules.add(rule)

    def rules(self) -> dict[int, Rule]:
        """The rules in force, by their ids."""
        return self._rules.rules()

    def remove(self, number: int) -> None:
        """Stop playing the fault of that id; KeyError if there is none."""
        self._rules.remove(number)

    def clear(self) -> None:
        """All is well again. Connections that a fault holds stay held until their clients let go."""
        self.play(shipped("healthy"))

    def play(self, scenario: Scenario) -> None:
        """Replace every rule by those of the scenario; ValueError if this world cannot play one of them."""
        self._check(scenario.rules)
        self._scenario = scenario
        self._rules.replace(scenario.rules)

    def scenario(self) -> Scenario:
        """The rules in force, by the name of what was last played."""
        return dataclasses.replace(self._scenario, rules=tuple(self.rules().values()))

    def _check(self, rules: Iterable[Rule]) -> None:
        tls = sorted({rule.fault.name for rule in rules if rule.fault.group == "tls"})
        if tls and not self._https:
            raise ValueError(f"{', '.join(tls)}: needs a world with https")

    def _apply(self) -> None:
        self._host.call(self._open_and_shut())

    async def _open_and_shut(self) -> None:
        # One at a time, and by the rules as they are then: threads that change them need not take turns.
        async with self._turn:
            for name in self.urls:
                listener = self._listeners[name]
                match self._rules.due_on("server", name):
                    case []:
                        await listener.open(network=self._rules.strike_on("network", name))
                    case [*_, Blackhole()]:
                        await listener.deafen()
                    case _:
                        await listener.shut()
