"""A partial's ledger: which response wrote which range, in a file beside it that outlives a kill.

JSON lines: one about the file, then one a response as it begins; a response's range ends where the
next begins. It says whom to blame for wrong bytes and which entity tag to resume with. It is not
needed to resume: the bytes are hashed again anyway, so a ledger that is lost, torn or wrong costs
knowledge and nothing else, and no failure to write one is an error.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

from fallback.exchange import STRONG_ETAG
from fallback.facts import LayerName

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""No more of a ledger is read: it is our own, but the folder is not only ours."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that wrote the partial from byte `start` on; `etag` is the strong entity tag that `host` gave.

    `stop`: where one ended that wrote over earlier bytes (`mending`); None: where the next begins.
    """

    start: int
    layer: LayerName
    source: str
    etag: str | None = None
    host: str = ""
    stop: int | None = None


class Ledger:
    """The responses that wrote one partial, in order of their ranges. It is written down from `keep` on.

    `pure`: after bytes of several sources did not make the file, those of one alone are kept.
    """

    def __init__(
        self,
        path: Path,
        responses: tuple[Response, ...] = (),
        *,
        pure: bool = False,
        is_kept: bool = False,
    ) -> None:
        self.path, self.responses, self.pure = path, responses, pure
        self._is_kept = is_kept

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """The ledger at `path` as far as it can be read; empty if it cannot."""
        try:
            with path.open("rb") as stream:
                lines = stream.read(MAX_BYTES).split(b"\n")
        except OSError:
            return cls(path)
        about, *written = lines
        responses: list[Response] = []
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            # One by one: what stands before a torn line is kept.
            responses.extend(_response(json.loads(line)) for line in written if line)
        pure = False
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            pure = json.loads(about).get("pure") is True
        return cls(path, tuple(responses), pure=pure, is_kept=True)

    def begin(self, *, pure: bool = False) -> None:
        """Start anew: nothing is written yet."""
        self.responses, self.pure = (), pure
        if self._is_kept:
            self._write()

    def keep(self) -> None:
        """From now on it is worth writing down: a small file is here sooner than its ledger."""
        if not self._is_kept:
            self._is_kept = True
            self._write()

    def add(self, response: Response) -> None:
        """Note a response before its first byte is written."""
        self.responses = (*self.responses, response)
        if not self._is_kept:
            return
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(response))

    def etag(self, source: str) -> tuple[str | None, str]:
        """The entity tag that came last by way of this source, and the host it is of: the source's, or its CDN's."""
        return next(((r.etag, r.host) for r in reversed(self.responses) if r.source == source), (None, ""))

    def only(self) -> str | None:
        """The source that wrote all there is; None if there are several, or none is known."""
        sources = {response.source for response in self.responses}
        return sources.pop() if len(sources) == 1 else None

    def writer(self, start: int, stop: int) -> str | None:
        """The source of the one response that wrote all of these bytes; None if several did, or none is known."""
        over = [each for each in self.responses if each.stop and each.start < stop and start < each.stop]
        if over:
            return over[-1].source if (over[-1].start, over[-1].stop) == (start, stop) else None
        appended = [each for each in self.responses if each.stop is None]
        ends = [after.start for after in appended[1:]] + [sys.maxsize]
        wrote = [each for each, end in zip(appended, ends, strict=False) if each.start < stop and start < end]
        return wrote[0].source if len(wrote) == 1 else None

    def remove(self) -> None:
        """Delete it: its partial is gone, or has its final name."""
        if self._is_kept:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _write(self) -> None:
        about = json.dumps({"ledger": 1, "pure": self.pure}) + "\n"
        with contextlib.suppress(OSError):
            self.path.write_text(about + "".join(map(_line, self.responses)), encoding="utf-8")


def _line(response: Response) -> str:
    return json.dumps(asdict(response)) + "\n"


def _response(line: Any) -> Response:
    response = Response(**line)
    texts: tuple[Any, Any, Any] = (response.layer, response.source, response.host)
    known = texts[0] in get_args(LayerName) and isinstance(texts[1], str) and isinstance(texts[2], str)
    if not (response.start >= 0 and known and (response.stop is None or response.stop > response.start)):
        raise ValueError("not a response")
    if response.etag is not None and not STRONG_ETAG.fullmatch(response.etag):
        raise ValueError("not an entity tag that may be sent")
    return response
