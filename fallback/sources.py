"""Who can be asked for a file: what URL it has there, and what the head of an answer means.

A `Source` turns what is `Wanted` into a `Request`, or into None when it has no name for it; then
it costs no request at all. `judge` reads the head of the answer and says where in the file its
body begins, or raises `Failed` with the outcome. Exclusions: no I/O, and no decision about what
comes next (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from fallback.errors import SettingsError
from fallback.exchange import Request, host_of, origin, usable, without_query
from fallback.outcome import (
    BlocksOnly,
    Failed,
    Malformed,
    NotHere,
    Refused,
    Retired,
    Throttled,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fallback.events import LayerName
    from fallback.exchange import Head
    from fallback.manifest import File, Model
    from fallback.outcome import (
        Outcome,
    )
    from fallback.settings import Settings

CAR = "application/vnd.ipld.car; version=1; order=dfs; dups=y"
NO_NODE = ("could not find node", "failed to load root node", "peer does not have")
"""What some gateways say with a 500 when they mean 404 (boxo's own client reads them so)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, and what sources need to name it. `ipfs_path` is `cid` or `cid/path`, unquoted."""

    model: Model
    file: File
    ipfs_path: str | None = None

    def __str__(self) -> str:
        return f"{self.model.name}/{self.file.path}"


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


def in_order(settings: Settings) -> tuple[Source, ...]:
    """The configured sources, first the layer that is preferred (DESIGN, Layers).

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
    return hub + gateways if settings.preferred_layer == "huggingface" else gateways + hub


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


def ipfs_path(model: Model, file: File, known_cid: str | None = None) -> str | None:
    """The file's path under a gateway's `/ipfs/`, or None.

    The model's folder CID and the path below it, else the file's own CID, else `known_cid`: the
    newest that the database knows for the model.
    """
    if model.ipfs is not None:
        return "/".join(part for part in (model.ipfs.cid, model.ipfs.path, file.path) if part)
    if file.cid is not None:
        return file.cid
    return f"{known_cid}/{file.path}" if known_cid else None


def judge(source: Source, request: Request, head: Head, file: File, now: float) -> int:
    """Read the head of an answer: the offset in the file at which its body begins.

    A 416 that says the file ends where we are has no body to read: what is here may be all of it.

    Raises:
        Failed: this is not (this part of) the file; its outcome says what it is.
    """
    if head.status == 416 and request.offset and _complete(request, head, file):
        return request.offset
    if head.status not in {200, 206}:
        raise Failed(_blocks_only(source, request, head) or _refusal(source, head, now))
    if not head.framed:
        raise Failed(Malformed(f"a Content-Length that is none: {head.headers['content-length'][:40]!r}"))
    if head.encoded:
        raise Failed(
            Malformed(f"encoded as {head.headers['content-encoding']!r} though identity was asked for")
        )
    if request.by_blocks:
        return _car(request, head)
    if head.status == 206:
        return _partial(request, head, file)
    _promise(head, file)
    return 0


def _car(request: Request, head: Head) -> int:
    if head.status != 200 or head.media_type != "application/vnd.ipld.car":
        raise Failed(Malformed(f"{head.status} {head.media_type or 'of no type'} where a CAR was asked for"))
    return request.offset


def _complete(request: Request, head: Head, file: File) -> bool:
    """The three meanings of a 416: all is here already, too much is, or the file is another there."""
    return file.size is None and head.complete_length == request.offset


def _promise(head: Head, file: File) -> None:
    """Refuse a whole answer that cannot be the file before a byte of it is read (fault 80)."""
    length = head.content_length
    html = head.media_type == "text/html" and not file.path.lower().endswith((".html", ".htm"))
    if html and (file.size is None or length != file.size):
        raise Failed(Malformed("an HTML page in the place of the file"))
    if file.sha256 is not None and file.size is not None and length not in {None, file.size}:
        raise Failed(Malformed(f"it has {length} bytes there, not the {file.size} of the manifest"))


def _partial(request: Request, head: Head, file: File) -> int:
    part = head.content_range
    if not request.is_ranged:
        raise Failed(Malformed("206 though no range was asked for"))
    if head.media_type == "multipart/byteranges" or part is None:
        raise Failed(Malformed("206 without a readable Content-Range"))
    if part.start != request.offset:
        raise Failed(Malformed(f"206 from byte {part.start} though {request.offset} was asked for"))
    if file.size is not None and part.total not in {None, file.size}:
        raise Failed(Malformed(f"it has {part.total} bytes there, not the {file.size} of the manifest"))
    return part.start


def _blocks_only(source: Source, request: Request, head: Head) -> Outcome | None:
    """A trustless gateway's 406; and 501, where a part of so large a file is to be had as blocks alone."""
    if request.by_blocks or not isinstance(source, IpfsGateway):
        return None
    if head.status == 406:
        return BlocksOnly("it gives blocks and no files (406)", always=True)
    return (
        BlocksOnly("it gives no part of this file (501)") if head.status == 501 and request.offset else None
    )


def _refusal(source: Source, head: Head, now: float) -> Outcome:
    status = head.status
    if status in {410, 429} and head.sunset_passed(now):
        return Retired(f"{status}, and its Sunset has passed: this service was shut down")
    wait = head.retry_after_s(now)
    if status == 429 or (status == 503 and wait is not None):
        wait = head.quota_resets_s if wait is None else wait
        return Throttled(
            f"{status}, {'asks to wait' if wait is None else f'asks to wait {wait:.0f} s'}", wait
        )
    if status in {404, 406, 410, 412, 451}:
        return NotHere(f"not there ({status})")
    if status in {401, 403}:
        return source.denied(head)
    if status == 500 and any(text in head.excerpt for text in NO_NODE):
        return NotHere("not there (500, no such node)")
    if status == 407:
        return Unreachable("the proxy wants a user name and a password (407)", lasting=True)
    if status >= 500 or status in {408, 425}:
        return Unavailable(f"the server failed ({status})")
    return Malformed(f"status {status} where 200 or 206 was due")
