"""Who pins for others: how a model is sent there, and what CID the answer tells.

A `Target` makes an `Upload` of a package and reads the answer to it; what goes wrong is an outcome, as it
is when something is fetched. A 200 alone is no success. Exclusions: no I/O, no second attempt (`pursuit`),
and no opinion on whether the CID that came back is right (`publishing`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fallback import folder as folders
from fallback.errors import SettingsError, storage
from fallback.exchange import Upload, host_of
from fallback.ipfs.cid import Cid, CidError
from fallback.ipfs.unixfs import KUBO_CID_V1, V1_2025
from fallback.outcome import Failed, Malformed, Refused, Throttled, Unavailable
from fallback.publish.forms import Form, Part
from fallback.publish.package import car_bytes, car_of

if TYPE_CHECKING:
    from pathlib import Path

    from fallback.exchange import Head
    from fallback.facts import LayerName
    from fallback.ipfs.unixfs import Profile
    from fallback.outcome import Outcome
    from fallback.publish.package import Package
    from fallback.settings import Settings

V3_MOST_BYTES = 100 << 20
"""What Pinata's v3 takes in one request; more needs the old API."""

NO_KEYS = (
    "publishing to Pinata needs a key: set PINATA_JWT, or PINATA_API_KEY with PINATA_SECRET_KEY; without one,"
    " `fallback publish --to car -o FILE` makes a real CID and a file that any pinning service can import"
)
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Target(Protocol):
    """Somewhere a model can be published."""

    @property
    def name(self) -> str:
        """Its host."""

    @property
    def layer(self) -> LayerName:
        """None of the layers that files come from."""

    @property
    def profile(self) -> Profile:
        """What its CIDs are computed by."""

    def upload(self, package: Package) -> Upload:
        """How to send it."""

    def cid(self, body: bytes, package: Package) -> Cid:
        """The CID that a 200 tells.

        Raises:
            Failed: it tells of a failure, or of nothing.
        """


@dataclass(frozen=True, slots=True)
class Kubo:
    """A node's RPC: `dag/import` of a CAR, which keeps its CIDs (docs.ipfs.tech, Kubo RPC)."""

    api: str
    layer: LayerName = field(default="pin", init=False)
    profile: Profile = field(default=V1_2025, init=False)

    @property
    def name(self) -> str:
        """The node's host."""
        return host_of(self.api)

    def upload(self, package: Package) -> Upload:
        """One CAR."""
        form = Form([_car(package)])
        url = f"{self.api}/api/v0/dag/import?pin-roots=true&stats=true"
        return Upload(url, form.pieces, form.size, {"Content-Type": form.media})

    def cid(self, body: bytes, package: Package) -> Cid:
        """Of the line that tells of our root; the last line must be there, too: errors come late, or cut the answer."""
        lines = [_json(line) for line in body.splitlines() if line.strip()]
        roots = [_dict(line["Root"]) for line in lines if "Root" in line]
        wrong = [line["Message"] for line in lines if "Message" in line]
        wrong += [root["PinErrorMsg"] for root in roots if root.get("PinErrorMsg")]
        if wrong:
            raise Failed(Unavailable(f"the import failed: {wrong[0]}"))
        if not roots or "Stats" not in lines[-1]:
            raise Failed(Unavailable("the import broke off: its last line is missing"))
        told = [_cid(_dict(root.get("Cid")).get("/")) for root in roots]
        return package.root if package.root in told else told[0]


@dataclass(frozen=True, slots=True)
class Pinata:
    """Pinata's old API: a folder as it is, cut into blocks there; by what is known, as kubo-default-cid-v1."""

    api: str
    keys: dict[str, str] = field(repr=False)
    layer: LayerName = field(default="pin", init=False)
    profile: Profile = field(default=KUBO_CID_V1, init=False)

    @property
    def name(self) -> str:
        """The API's host."""
        return host_of(self.api)

    def upload(self, package: Package) -> Upload:
        """Every file, under one folder that is not part of the CID."""
        top = re.sub(r"[^\w.-]", "-", package.model.name)
        form = Form(
            [
                *(_file(f"{top}/{name}", path) for name, path in package.files.items()),
                Part.text("pinataMetadata", json.dumps({"name": package.model.name})),
                Part.text("pinataOptions", json.dumps({"cidVersion": 1})),
            ]
        )
        headers = {"Content-Type": form.media, **self.keys}
        return Upload(f"{self.api}/pinning/pinFileToIPFS", form.pieces, form.size, headers)

    def cid(self, body: bytes, package: Package) -> Cid:  # noqa: ARG002 - whatever it tells
        """`IpfsHash`."""
        return _cid(_json(body).get("IpfsHash"))


@dataclass(frozen=True, slots=True)
class PinataV3:
    """Pinata's v3: the model as a CAR, which keeps its CID, and public, which is not the default there."""

    uploads: str
    keys: dict[str, str] = field(repr=False)
    layer: LayerName = field(default="pin", init=False)
    profile: Profile = field(default=V1_2025, init=False)

    @property
    def name(self) -> str:
        """The host that takes uploads."""
        return host_of(self.uploads)

    def upload(self, package: Package) -> Upload:
        """One CAR of one root.

        Raises:
            SettingsError: it is more than one request may have there.
        """
        if car_bytes([package]) > V3_MOST_BYTES:
            size = f"{car_bytes([package]) / 1e6:.0f} MB"
            raise SettingsError(
                f"{package.model.name} has {size}, and v3 takes 100 MiB at once: use --pinata-api v1"
            )
        fields = {"network": "public", "name": package.model.name, "car": "true"}
        form = Form([*(Part.text(name, value) for name, value in fields.items()), _car(package)])
        headers = {"Content-Type": form.media, **self.keys}
        return Upload(f"{self.uploads}/v3/files", form.pieces, form.size, headers)

    def cid(self, body: bytes, package: Package) -> Cid:  # noqa: ARG002 - whatever it tells
        """`data.cid`."""
        return _cid(_dict(_json(body).get("data")).get("cid"))


def pinata(settings: Settings, *, v3: bool = False) -> Pinata | PinataV3:
    """Pinata with the keys of the settings.

    Raises:
        SettingsError: there are none, or half of them.
    """
    key, secret = settings.pinata_key, settings.pinata_secret
    token = settings.pinata_jwt or (key if key and not secret and _JWT.fullmatch(key) else None)
    if token is not None:
        keys = {"Authorization": f"Bearer {token}"}
    elif key and secret and not v3:
        keys = {"pinata_api_key": key, "pinata_secret_api_key": secret}
    elif key and secret:
        raise SettingsError("Pinata's v3 takes a token alone: set PINATA_JWT, or use --pinata-api v1")
    elif key or secret:
        lacks = "PINATA_SECRET_KEY" if key else "PINATA_API_KEY"
        raise SettingsError(f"{lacks} is missing: a key and its secret go together, or set PINATA_JWT")
    else:
        raise SettingsError(NO_KEYS)
    return PinataV3(settings.pinata_uploads, keys) if v3 else Pinata(settings.pinata_api, keys)


def refusal(target: Target, head: Head, body: bytes, now: float) -> Outcome:
    """What a status that is no success means, with the service's own words, unless they hold what it was sent (P7)."""
    said = _reason(body)
    words = {word for value in getattr(target, "keys", {}).values() for word in value.split()}
    said = "" if any(word in said for word in words) else said
    what = f"{head.status}{f', {said}' if said else ''}"
    if head.status == 429:
        return Throttled(f"{what}: asks to wait", head.retry_after_s(now))
    if head.status in {401, 403}:
        hint = "the key is not good for this: see PINATA_JWT, and its scopes"
        return Refused(f"{what}: {'the node does not let us in' if isinstance(target, Kubo) else hint}")
    if head.status >= 500 or head.status == 408:
        return Unavailable(what)
    return Refused(what)


def _reason(body: bytes) -> str:
    """The words of an error, in whichever of the three shapes; cut short, and of one line."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = document.get("error", document) if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return ""
    words = [error.get(name) for name in ("reason", "details", "message", "Message")]
    return " ".join(" ".join(str(word) for word in words if word).split())[:300]


def _car(package: Package) -> Part:
    return Part("file", lambda: car_of([package]), car_bytes([package]), f"{package.root}.car")


def _file(name: str, path: Path) -> Part:
    with storage(path):
        size = path.stat().st_size
    return Part("file", lambda: folders.pieces(path, 1 << 20), size, name)


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Failed(Malformed("an answer that is not JSON")) from None
    if not isinstance(document, dict):
        raise Failed(Malformed("an answer that is no object"))
    return document


def _dict(value: Any) -> dict[str, Any]:
    """A part of an answer that should be an object; nothing if it is none."""
    return value if isinstance(value, dict) else {}


def _cid(text: Any) -> Cid:
    try:
        return Cid.parse(text if isinstance(text, str) else "")
    except CidError as error:
        raise Failed(Malformed(f"an answer without a CID: {error}")) from None
