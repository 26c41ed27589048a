"""Faults of whoever publishes for others: refusals, pins that are not what was sent, uploads that break off.

They belong on the servers `pinata` and `kubo`; an answer that is none of theirs passes unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fakes import steps
from fakes.answer import json_answer
from fakes.faults.base import Fault, final_status, not_negative
from fakes.kubo import kubo_error, stream
from fakes.pinata import KEEP, pinata_error
from fallback.ipfs.cid import DAG_PB, Cid

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve

_OTHER = Cid.of(b"another folder", DAG_PB)


@dataclass(frozen=True)
class PinataError(Fault, name="pinata-error", group="pinning"):
    """An error of Pinata's API, such as a key without scopes, or a plan whose quota is used up."""

    status: int = 403
    reason: str = "NO_SCOPES_FOUND"
    details: str = "This key does not have the required scopes associated with it"

    def __post_init__(self) -> None:
        final_status(self, self.status)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """In the shape of the API that was asked."""
        del serve
        return pinata_error(self.status, self.reason, self.details, is_v3=request.path.startswith("/v3/"))


@dataclass(frozen=True)
class OtherCid(Fault, name="other-cid", group="pinning"):
    """What was sent is pinned, and the CID that is told is of something else."""

    def answer(self, request: Request, serve: Serve) -> Answer:
        """Pinata's old API, v3 and Kubo each have their own word for it."""
        answer = serve(request)
        answer = answer.with_body(tuple(answer.body))  # it is read here, and may be played after that
        said = _lines(answer)
        for document in said:
            if "IpfsHash" in document:
                document["IpfsHash"] = str(_OTHER)
            elif "data" in document:
                document["data"]["cid"] = str(_OTHER)
            elif "Root" in document:
                document["Root"]["Cid"]["/"] = str(_OTHER)
        if answer.status != 200 or not said:
            return answer
        return stream(said) if "Root" in said[0] else json_answer(200, said[0])


@dataclass(frozen=True)
class PartialPin(Fault, name="partial-pin", group="pinning"):
    """Of a folder, only the first `files` are pinned, and the CID is theirs."""

    files: int = 1

    def __post_init__(self) -> None:
        not_negative(self, "files")

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The rest is lost without a word."""
        return serve(request.with_headers(**{KEEP: str(self.files)}))


@dataclass(frozen=True)
class KuboError(Fault, name="kubo-error", group="pinning"):
    """An import that fails as Kubo's do: by status, by a line of the stream, in its trailer, in the pin, or without a word."""

    where: Literal["status", "line", "trailer", "pin", "silence"] = "trailer"
    message: str = "no space left on device"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """All but the first are a 200."""
        if self.where == "status":
            return kubo_error(500, self.message)
        roots = [document for document in _lines(serve(request)) if "Root" in document]
        if self.where == "line":
            return stream([{"Message": self.message, "Code": 0, "Type": "error"}])
        if self.where == "pin":
            for document in roots:
                document["Root"]["PinErrorMsg"] = self.message
            return stream([*roots, {"Stats": {"BlockCount": 0, "BlockBytesCount": 0}}])
        return stream(roots, self.message if self.where == "trailer" else None)


@dataclass(frozen=True)
class UploadCut(Fault, name="upload-cut", group="pinning"):
    """The connection is reset when so much of the request's body has come."""

    fraction: float = 0.9

    def __post_init__(self) -> None:
        not_negative(self, "fraction")

    def takes(self, length: int | None) -> int | None:
        """Nothing is answered, and what came is forgotten."""
        return None if length is None else int(length * self.fraction)

    def answer(self, request: Request, serve: Serve) -> Answer:
        """A request without a body is not an upload."""
        return serve(request)


def _lines(answer: Answer) -> list[dict[str, Any]]:
    """The JSON lines of a body, whatever coding they are in."""
    body = b"".join(bytes(step) for step in answer.body if isinstance(step, steps.Data))
    return [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
