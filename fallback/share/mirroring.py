"""Puts files that came from elsewhere into the shared mirror, for the next machine.

One at a time, in a thread of its own, while others still come; a run waits for it at its end, but not beyond
its deadline, nor once nothing has moved for `timeout_s`. A file gets its name in the mirror when all of it is there:
object stores make it so, elsewhere a file with another name is moved. What has its size is taken for it, unless
this run has had wrong bytes of it. Whatever fails is a warning (P11).
Exclusions: no file is hashed again, for only what a row vouches for is read (`share.shelf`); a mirror that is
asked by HTTP is not written to.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any

from fallback.facts import Warned
from fallback.share.shelf import ChangedError, Shelf
from fallback.stores import Store, filesystem, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from fallback.facts import Event
    from fallback.run import Run
    from fallback.share.shelf import Offer
    from fallback.state import State
    from fallback.wanted import Wanted

PIECE = 1 << 20
LOOK_S = 0.05

WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
"""Stores in which an object is there when all of it is, and not before."""


class _LeftError(Exception):
    """Nobody waits for this any more."""


class Writer:
    """An observer of one run. `digests`: the SHA-256 of each file that may come, by model and path."""

    def __init__(
        self,
        url: str,
        shelf: Shelf,
        digests: Mapping[tuple[str, str], str | None],
        *,
        warn: Callable[[str], None],
        over: Callable[[], bool],
        quiet_s: float,
    ) -> None:
        self._url, self._shelf, self._digests = url, shelf, digests
        self._say, self._over, self._quiet_s = warn, over, quiet_s
        self._due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._wrong: set[str] = set()  # what the mirror has under this name is not it
        self._moved_at = time.monotonic()
        self._left = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """A file that has come from elsewhere is put into the mirror, and one that the mirror has wrong anew."""
        from fallback.events import AttemptEnded, Blamed, FileCompleted  # noqa: PLC0415 - as `facts` says

        if not isinstance(event, AttemptEnded | Blamed | FileCompleted):
            return
        sha256 = self._digests.get((event.model, event.path))
        if sha256 is None:
            return
        if not isinstance(event, FileCompleted):
            is_wrong = isinstance(event, Blamed) or event.outcome == "corrupt"
            if is_wrong and event.layer == "mirror":
                self._wrong.add(sha256)
        elif event.layer != "mirror" or sha256 in self._wrong:
            self._put_later(sha256)

    def _put_later(self, sha256: str) -> None:
        self._due.put(sha256)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mirroring", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for what is under way, as long as it moves and the run is not over."""
        if self._thread is None:
            return
        self._due.put(None)
        self._moved_at = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(LOOK_S)
            stuck = time.monotonic() - self._moved_at > self._quiet_s
            if stuck or self._over():
                self._left.set()
                why = f"nothing moved for {self._quiet_s:g} s" if stuck else "the run is over"
                self._say(f"the mirror does not have all files: {why}")
                return

    def _work(self) -> None:
        while (sha256 := self._due.get()) is not None and not self._left.is_set():
            try:
                self._put(sha256)
            except _LeftError:
                return
            except ChangedError:
                self._warn(sha256, "it has just changed")
            except Exception as error:  # noqa: BLE001 - a library of somebody else's may raise anything
                self._warn(sha256, getattr(error, "strerror", None) or type(error).__name__)

    def _warn(self, sha256: str, why: str) -> None:
        if not self._left.is_set():
            self._say(f"the mirror was not given {sha256[:12]}…: {why}")

    def _put(self, sha256: str) -> None:
        fs, path = filesystem(f"{self._url}/{place(sha256)}")
        offer = self._shelf.take(sha256)
        if offer is None:
            raise ChangedError
        try:
            is_there = sha256 not in self._wrong and fs.exists(path)
            if is_there and fs.info(path)["size"] == offer.size:
                return
            if self._url.partition(":")[0] in WHOLE:
                self._write(fs.open(path, "wb", autocommit=False), offer, commits=True)
            else:
                self._write_aside(fs, path, offer)
            self._wrong.discard(sha256)
        finally:
            offer.close()

    def _write_aside(self, fs: Any, path: str, offer: Offer) -> None:
        """Under another name, and then moved."""
        fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        aside = f"{path}.{secrets.token_hex(4)}.partial"
        try:
            self._write(fs.open(aside, "wb"), offer, commits=False)
            fs.mv(aside, path)
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is what a person must know
                fs.rm(aside)
            raise

    def _pieces(self, offer: Offer) -> Iterator[bytes]:
        at = 0
        while at < offer.size:
            if self._left.is_set():
                raise _LeftError
            piece = offer.read(at, min(at + PIECE, offer.size))
            at += len(piece)
            yield piece

    def _write(self, stream: Any, offer: Offer, *, commits: bool) -> None:
        """All of it into a stream that was opened for it."""
        try:
            for piece in self._pieces(offer):
                stream.write(piece)
                self._moved_at = time.monotonic()
            stream.close()
            if commits:
                stream.commit()
        except BaseException:
            with contextlib.suppress(Exception):  # as above
                if commits:
                    stream.discard()
                else:
                    stream.close()
            raise


def writing(run: Run, state: State, url: str, wanted: Iterable[Wanted]) -> None:
    """From now on, and until its end, this run puts each of these files that comes into the mirror at `url`."""
    settings = run.settings
    if Store(url).is_http:
        run.emit(Warned("mirror_write: a mirror that is asked by HTTP is not written to"))
        return

    def warn(message: str) -> None:
        run.emit(Warned(message))

    writer = Writer(
        url,
        Shelf(settings.models_dir, state.verified.having),
        {(each.model.name, each.file.path): each.file.sha256 for each in wanted},
        warn=warn,
        over=run.over,
        quiet_s=settings.timeout_s,
    )
    run.observe(writer)
    run.ending.callback(writer.close)
