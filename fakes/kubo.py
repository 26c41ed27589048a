"""A fake Kubo: the few calls of its RPC that a publisher needs (`version`, `add`, `dag/import`), all by POST.

Answers are streams of JSON lines, as Kubo's are: a 200 says nothing, the last line does. What is added or imported, the
world's gateways serve. Does not pin, unpin or talk to peers.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from fakes.answer import Answer, json_answer, text_answer
from fakes.pinning import pin_car, pin_file, pin_folder
from fakes.steps import Trailer
from fakes.uploads import FormError, form
from fallback.ipfs import car
from fallback.ipfs.car import CarError
from fallback.ipfs.reading import DagError
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fakes.answer import Request
    from fakes.blockstore import Blockstore
    from fakes.steps import Step
    from fallback.ipfs.cid import Cid
    from fallback.ipfs.unixfs import Profile

VERSION = "0.43.1"
CHUNKS = range(1, (2 << 20) - 255)
"""Bytes of a chunk: a block of 2 MiB must have room for what is around it (boxo's bound)."""

LINKS = range(2, 8193)
"""Of a node; with one, a file of two chunks would have no top."""


class Kubo:
    """A node's RPC."""

    def __init__(self, blocks: Blockstore) -> None:
        self._blocks = blocks

    def __call__(self, request: Request) -> Answer:
        """Answer as a healthy node does."""
        known = {"version": self._version, "add": self._add, "dag/import": self._import}
        call = request.path.removeprefix("/api/v0/")
        if call == request.path or call not in known:
            return text_answer(404, "404 page not found\n")
        if request.method != "POST":
            return text_answer(405, "405 - Method Not Allowed\n", {"Allow": "OPTIONS, POST"})
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        try:
            return known[call](request, query)
        except FormError as error:
            return kubo_error(400, str(error))

    def _version(self, _request: Request, _query: dict[str, str]) -> Answer:
        return json_answer(
            200, {"Version": VERSION, "Commit": "", "Repo": "16", "System": "fake", "Golang": ""}
        )

    def _import(self, request: Request, query: dict[str, str]) -> Answer:
        """The blocks of a CAR; each root that its header names is told of, and whether it is here, then how much it was."""
        cars = [part.data for part in form(request) if part.name == "file"]
        if not cars:
            raise FormError("file argument 'path' is required")
        roots: list[Cid] = []
        count = size = 0
        try:
            for data in cars:
                roots += car.roots(io.BytesIO(data[: 2 * car.MAX_HEADER]))
                for _cid, block in pin_car(data, self._blocks):
                    count, size = count + 1, size + len(block)
        except (CarError, DagError) as error:
            return kubo_error(500, f"import failed: {error}")
        said = [self._pinned(root) for root in roots] if query.get("pin-roots") != "false" else []
        if query.get("stats") == "true":
            said.append({"Stats": {"BlockCount": count, "BlockBytesCount": size}})
        return stream(said)

    def _pinned(self, root: Cid) -> dict[str, Any]:
        missing = (
            "" if root in self._blocks else f"block was not found locally (offline): could not find {root}"
        )
        return {"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": missing}}

    def _add(self, request: Request, query: dict[str, str]) -> Answer:
        """Files by their percent-encoded paths; told of in order, then their folders, the outermost last."""
        profile = _profile(query)
        parts = [part for part in form(request) if part.filename is not None]
        files = {
            unquote(part.filename or ""): pin_file(part.data, profile, self._blocks)
            for part in parts
            if part.media != "application/x-directory"
        }
        said = [
            {"Name": name, "Hash": str(built.cid), "Size": str(built.tsize)} for name, built in files.items()
        ]
        folders = dict(pin_folder(files, profile, self._blocks))
        root = folders.pop("")
        wrapped = query.get("wrap-with-directory") == "true"
        for name, built in [*sorted(folders.items(), key=lambda each: -each[0].count("/"))] + [
            ("", root)
        ] * wrapped:
            said.append({"Name": name, "Hash": str(built.cid), "Size": str(built.tsize)})
        return stream(said)


def stream(said: Sequence[Any], error: str | None = None) -> Answer:
    """JSON lines, chunked; an error that came too late for the status is told in a trailer."""
    body = [json.dumps(each).encode() + b"\n" for each in said]
    headers = (("Content-Type", "application/json"), ("Trailer", "X-Stream-Error"))
    steps: list[Step] = [*body, *([Trailer("X-Stream-Error", error)] if error else [])]
    return Answer(200, headers, body=steps, length=sum(map(len, body))).chunked()


def kubo_error(status: int, message: str) -> Answer:
    """An error as its commands give it."""
    return json_answer(status, {"Message": message, "Code": 0, "Type": "error"})


def _profile(query: dict[str, str]) -> Profile:
    base = KUBO_CID_V1 if query.get("cid-version") == "1" else V0_2015
    raw = query.get("raw-leaves")
    return dataclasses.replace(
        base,
        raw_leaves=base.raw_leaves if raw is None else raw == "true",
        chunk=_number(query.get("chunker", f"size-{base.chunk}"), r"size-(\d{1,7})", CHUNKS),
        width=_number(query.get("max-file-links", str(base.width)), r"(\d{1,7})", LINKS),
    )


def _number(text: str, form: str, allowed: range) -> int:
    """An option's number; other chunkers than of a fixed size are not played."""
    found = re.fullmatch(form, text, re.ASCII)
    if found is None or int(found[1]) not in allowed:
        raise FormError(f"{text!r} is not of the form {form}, or not {allowed.start} to {allowed.stop - 1}")
    return int(found[1])
