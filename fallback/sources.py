"""Who can be asked for a file, and what URL it has there.

A `Source` turns what is `Wanted` into a `Request`, or into None when it has no name for it; then
it costs no request at all. Exclusions: no I/O, what the head of an answer means (`judging`), and no
decision about what comes next (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from fallback.errors import SettingsError
from fallback.exchange import Request, host_of, origin, usable, without_query
from fallback.outcome import (
    NotHere,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from fallback.exchange import Head
    from fallback.facts import LayerName
    from fallback.manifest import HubRef
    from fallback.outcome import (
        Outcome,
    )
    from fallback.settings import Settings
    from fallback.wanted import Wanted

CAR = "application/vnd.ipld.car; version=1; order=dfs; dups=y"


class Named(Protocol):
    """Somewhere requests go."""

    @property
    def name(self) -> str:
        """The host, with its port if it has one: the key of health, metrics and events."""

    @property
    def layer(self) -> LayerName:
        """The layer it belongs to."""


class Source(Named, Protocol):
    """Somewhere a file can be had from."""

    def request(self, wanted: Wanted) -> Request | None:
        """How to ask for the file from its first byte; None: it has no name here."""

    def denied(self, head: Head) -> Outcome:
        """What 401 and 403 mean here."""


@dataclass(frozen=True, slots=True)
class IpfsGateway:
    """A path gateway: `{url}/ipfs/{cid}/{path}` (ipfs/specs, path-gateway)."""

    url: str
    called: str | None = None
    layer: LayerName = field(default="ipfs", init=False)

    @property
    def name(self) -> str:
        """The gateway's host, and the path below it that makes it one, if there is any."""
        return self.called or host_of(self.url) + urlsplit(self.url).path

    def request(self, wanted: Wanted) -> Request | None:
        """By the file's CID; None if it has none."""
        return Request(f"{self.url}/ipfs/{quote(wanted.ipfs_path)}") if wanted.ipfs_path else None

    def car(self, wanted: Wanted, start: int, stop: int | None) -> Request:
        """How to ask for the bytes `start` to `stop` as blocks in a CAR, in the order a reader needs them.

        Also said in Accept, as the specification advises (IPIP-523); `dups=y`: nothing has to be kept.
        """
        part = f"&entity-bytes={start}:{'*' if stop is None else stop - 1}" if start or stop else ""
        query = f"format=car&dag-scope=entity{part}&car-order=dfs&car-dups=y"
        url = f"{self.url}/ipfs/{quote(wanted.ipfs_path or '')}?{query}"
        return Request(url, offset=start, stop=stop, accept=CAR, by_blocks=True)

    def block(self, cid: str) -> Request:
        """How to ask for one block, whatever it is a part of (ipfs/specs, trustless-gateway)."""
        return Request(f"{self.url}/ipfs/{cid}?format=raw", accept="application/vnd.ipld.raw")

    def denied(self, head: Head) -> Outcome:
        """Content this gateway will not serve, such as Pinata's ERR_ID:00006 for what is not pinned there."""
        return NotHere(f"this gateway does not serve it ({head.status})")


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """The Hub: `{endpoint}/{repo}/resolve/{revision}/{path}`, with `/datasets/` for data sets."""

    endpoint: str
    token: str | None = field(default=None, repr=False)
    called: str | None = None
    layer: LayerName = field(default="huggingface", init=False)

    @property
    def name(self) -> str:
        """The Hub's host."""
        return self.called or host_of(self.endpoint)

    def request(self, wanted: Wanted) -> Request | None:
        """By the model's repository; None if it names none."""
        hub = wanted.model.huggingface
        if hub is None:
            return None
        repo = f"datasets/{hub.repo}" if hub.repo_type == "dataset" else hub.repo
        path = "/".join(part for part in (hub.path, wanted.file.path) if part)
        # A revision is one segment: refs/pr/1 goes as refs%2Fpr%2F1 (huggingface_hub, hf_hub_url).
        revision = quote(hub.revision, safe="")
        return Request(f"{self.endpoint}/{quote(repo)}/resolve/{revision}/{quote(path)}", token=self.token)

    def api_url(self, ref: HubRef, action: str) -> str:
        """Where the API answers for the repository at its revision."""
        revision = quote(ref.revision, safe="")  # one segment here, too
        return f"{self.endpoint}/api/{ref.repo_type}s/{quote(ref.repo)}/{action}/{revision}"

    def denied(self, head: Head) -> Outcome:
        """A gated repository, or a CDN whose signed URL has expired: the next attempt gets a new one."""
        if origin(head.url) != origin(self.endpoint):
            return Unavailable(f"the signed URL of the CDN was not accepted ({head.status})")
        if self.token is None:
            return Refused(f"HuggingFace wants a token ({head.status}): set HF_TOKEN or FALLBACK_HF_TOKEN")
        return Refused(
            f"HuggingFace does not accept this token for it ({head.status}): see HF_TOKEN, FALLBACK_HF_TOKEN"
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """Another machine's `fallback serve --share`: `{url}/files/sha256/{sha256}`. It is believed as little as any other."""

    url: str
    token: str | None = field(default=None, repr=False)
    called: str | None = None
    layer: LayerName = field(default="peer", init=False)

    @property
    def name(self) -> str:
        """The peer's host, and the path below it, if there is any."""
        return self.called or host_of(self.url) + urlsplit(self.url).path

    def request(self, wanted: Wanted) -> Request | None:
        """By its SHA-256; None if the manifest has none."""
        sha256 = wanted.file.sha256
        return (
            None if sha256 is None else Request(f"{self.url}/files/sha256/{sha256}", self.token, is_peer=True)
        )

    def denied(self, head: Head) -> Outcome:
        """It wants a token, or another one."""
        which = "a token" if self.token is None else "another token"
        return Refused(f"this peer wants {which} ({head.status}): set FALLBACK_PEER_TOKEN")


@dataclass(frozen=True, slots=True)
class Mirror:
    """One file at one plain URL, as `fetch` and `fallback get` are given them."""

    url: str
    name: str
    layer: LayerName = field(default="mirror", init=False)

    def request(self, wanted: Wanted) -> Request | None:  # noqa: ARG002 - the URL is the file's
        """The URL as given."""
        return Request(self.url)

    def denied(self, head: Head) -> Outcome:
        """Not for us, and no setting of ours would change it."""
        return NotHere(f"access denied ({head.status})")


def in_order(settings: Settings, found: Iterable[str] = ()) -> tuple[Source, ...]:
    """The configured sources: peers (those that are listed, and URLs that were `found`), the mirror, then the layer that is preferred, then the other; a bundle last (DESIGN, Layers).

    Each has a name of its own: where a host is several sources, the later ones' tells how.
    """
    made: dict[str, IpfsGateway] = {}
    for url in settings.gateways:
        gateway = IpfsGateway(url)
        if gateway.name in made:
            gateway = replace(gateway, called=f"{gateway.name} ({urlsplit(url).scheme})")
        made[gateway.name] = gateway
    gateways: tuple[Source, ...] = tuple(made.values())
    last = HuggingFace(settings.hf_endpoint, settings.hf_token)
    hub: tuple[Source, ...] = (
        replace(last, called=f"{last.name} (huggingface)") if last.name in made else last,
    )
    known = hub + gateways if settings.preferred_layer == "huggingface" else gateways + hub
    taken = {source.name for source in known}
    peers = [Peer(url, settings.peer_token) for url in settings.peers]
    listed = [replace(each, called=f"{each.name} (peer)") if each.name in taken else each for each in peers]
    taken |= {source.name for source in (*peers, *listed)}
    mirror = _mirror(settings, taken)
    # The token was given for those that are listed; and what is known under a name is not a stranger's to spoil.
    others = [each for each in map(Peer, found) if each.name not in taken]
    return (*listed, *others, *mirror, *known, *_bundle(settings))


def _bundle(settings: Settings) -> tuple[Source, ...]:
    if settings.bundle is None:
        return ()
    from fallback.bundles.source import InBundle  # noqa: PLC0415 - few runs have one

    return (InBundle(settings.bundle),)


def _mirror(settings: Settings, taken: Collection[str]) -> tuple[Source, ...]:
    if settings.mirror is None:
        return ()
    from fallback.stores import Store  # noqa: PLC0415 - as above

    store = Store(settings.mirror)
    return (replace(store, called=f"{store.name} (mirror)") if store.name in taken else store,)


def gateway_urls(settings: Settings, path: str) -> tuple[str, ...]:
    """Where each gateway has, or should have, what is at `path`: `cid` or `cid/below`."""
    return tuple(f"{url}/ipfs/{quote(path)}" for url in settings.gateways)


def mirrors(urls: Iterable[str]) -> tuple[Mirror, ...]:
    """A source for each different URL, in order: named by its host, the second there with its path.

    Raises:
        SettingsError: one is no http or https URL. It is told by its number: a URL may hold secrets.
    """
    made: dict[str, Mirror] = {}
    for number, url in enumerate(dict.fromkeys(urls), 1):
        if not usable(url):
            raise SettingsError(f"URL number {number} is not an http or https URL with a host")
        if "@" in urlsplit(url).netloc:
            raise SettingsError(f"URL number {number} has a user or password, which are not sent")
        name = host_of(url)
        if name in made:
            name = without_query(url).partition("://")[2]
        name = f"{name} ({number})" if name in made else name
        made[name] = Mirror(url, name)
    return tuple(made.values())
