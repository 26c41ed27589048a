"""A fake Pinata: uploads by the old API (pinFileToIPFS) and by v3, with its keys, its errors and its CIDs.

What it pins for the public, the world's gateways serve. Its CIDs are those its own documentation computes: of the profile
kubo-default-cid-v1, or unixfs-v0-2015 for `cidVersion` 0; a CAR keeps its own. Does not charge, group, or delete.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fakes.answer import json_answer
from fakes.pinning import pin_car, pin_file, pin_folder
from fakes.uploads import FormError, form
from fallback.ipfs.car import CarError
from fallback.ipfs.reading import DagError
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015

if TYPE_CHECKING:
    from fakes.answer import Answer, Request
    from fakes.blockstore import Blockstore
    from fakes.uploads import Part
    from fallback.ipfs.building import Built
    from fallback.ipfs.unixfs import Profile

JWT, KEY, SECRET = "eyJmYWtl.eyJrZXk.c2lnbmVk", "fake-pinata-key", "fake-pinata-secret"  # of this fake alone
"""The one good token, and the one good pair of key and secret."""

V3_MOST = 100 << 20
"""Bytes that v3 takes in one request; more goes by TUS, which is not played."""

KEEP = "x-fakes-keep"
"""A header that a fault adds: of a folder, so many files are kept and the others lost."""


class Pinata:
    """Both hosts of Pinata in one: the API's paths and those of its uploads differ."""

    def __init__(self, blocks: Blockstore) -> None:
        self._blocks = blocks
        self._seen: set[str] = set()

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy Pinata does."""
        known = {
            ("GET", "/data/testAuthentication"): self._test,
            ("POST", "/pinning/pinFileToIPFS"): self._pin,
            ("POST", "/v3/files"): self._file,
        }
        serve = known.get((request.method, request.path))
        is_v3 = request.path.startswith("/v3/")
        if serve is None:
            return _refused(404, "NOT_FOUND", f"no {request.method} {request.path}", is_v3=is_v3)
        why = _not_allowed(request, is_v3=is_v3)
        if why is not None:
            return _refused(401, "INVALID_CREDENTIALS", why, is_v3=is_v3)
        try:
            return serve(request)
        except (FormError, CarError, DagError) as error:
            return _refused(400, "INVALID_REQUEST", str(error), is_v3=is_v3)

    def _test(self, _request: Request) -> Answer:
        return json_answer(200, {"message": "Congratulations! You are communicating with the Pinata API!"})

    def _pin(self, request: Request) -> Answer:
        """Many parts called `file`, with their paths below one folder; or a single file."""
        parts = form(request)
        options = _json(parts, "pinataOptions")
        _json(parts, "pinataMetadata")
        profile = {0: V0_2015, 1: KUBO_CID_V1}.get(options.get("cidVersion", 0))
        if profile is None:
            raise FormError("cidVersion must be 0 or 1")
        files = [part for part in parts if part.name == "file" and part.filename is not None]
        if not files:
            raise FormError("no file was sent")
        root = self._root(files, profile, int(request.header(KEEP) or len(files)))
        document = {
            "IpfsHash": str(root.cid),
            "PinSize": root.tsize,
            "Timestamp": _now(),
            "isDuplicate": self._noted(str(root.cid)),
        }
        return json_answer(200, document)

    def _root(self, files: list[Part], profile: Profile, keep: int) -> Built:
        tops = {(part.filename or "").partition("/")[0] for part in files}
        if len(files) == 1 and "/" not in (files[0].filename or ""):
            return pin_file(files[0].data, profile, self._blocks)
        if len(tops) != 1 or not all("/" in (part.filename or "") for part in files):
            raise FormError("all files must be below one folder")
        made = {
            (part.filename or "").partition("/")[2]: pin_file(part.data, profile, self._blocks)
            for part in files[:keep]
        }
        return pin_folder(made, profile, self._blocks)[""]

    def _file(self, request: Request) -> Answer:
        """One file, or a CAR with one root; what is not said to be public is private, and no gateway has it."""
        parts = form(request)
        fields = {part.name: part.text() for part in parts if part.filename is None}
        files = [part for part in parts if part.name == "file" and part.filename is not None]
        if len(files) != 1:
            raise FormError("v3 takes one file at a time")
        if len(files[0].data) > V3_MOST:
            return _refused(413, "", "file too large: use a resumable upload", is_v3=True)
        public = fields.get("network", "private") == "public"
        blocks = self._blocks if public else type(self._blocks)()
        if fields.get("car") == "true":
            # A CAR in depth-first order begins with its root; what its header says is nobody's to believe.
            cids = [cid for cid, _ in pin_car(files[0].data, blocks)]
            if not cids:
                raise FormError("a CAR without a block")
            cid = cids[0]
        else:
            cid = pin_file(files[0].data, KUBO_CID_V1, blocks).cid
        data = {
            "id": str(uuid.uuid4()),
            "name": fields.get("name", files[0].filename),
            "cid": str(cid),
            "created_at": _now(),
            "size": len(files[0].data),
            "number_of_files": 1,
            "mime_type": files[0].media,
            "is_duplicate": self._noted(str(cid)),
        }
        return json_answer(200, {"data": data})

    def _noted(self, cid: str) -> bool:
        known = cid in self._seen
        self._seen.add(cid)
        return known


def pinata_error(status: int, reason: str, details: str, *, is_v3: bool) -> Answer:
    """An error in the shape of its API: the old one has reason and details, v3 a code and a message."""
    if is_v3:
        return json_answer(status, {"error": {"code": status, "message": details}})
    return json_answer(status, {"error": {"reason": reason, "details": details}})


_refused = pinata_error


def _not_allowed(request: Request, *, is_v3: bool) -> str | None:
    given = request.header("authorization")
    if given is not None:
        return None if given == f"Bearer {JWT}" else "token is malformed"
    pair = request.header("pinata_api_key"), request.header("pinata_secret_api_key")
    if is_v3 or pair == (None, None):
        return "no Authorization header found"
    return None if pair == (KEY, SECRET) else "invalid API key"


def _json(parts: list[Part], name: str) -> dict[str, Any]:
    text = next((part.text() for part in parts if part.name == name), "{}")
    try:
        document = json.loads(text)
    except ValueError:
        raise FormError(f"{name} is not JSON") from None
    if not isinstance(document, dict):
        raise FormError(f"{name} is no object")
    return document


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
