"""A file on its way: its bytes beside its target, their running proof, and the ledger of who wrote them.

A partial is written by one process, which stands in its name; let go, it has a name without one, and
`adoption` may give it to another run. Exclusions: which partial is taken over and when (`adoption`),
the final name's meaning (`cache`), and what to do next (`plan`).

Names: `.{file}.{sha256, 8 digits}-{id}[.{owner}].partial`, and `….ledger` without owner beside it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING, Self

from fallback import owner
from fallback.errors import SizeError, storage
from fallback.ledger import Ledger
from fallback.names import LEDGER, PARTIAL
from fallback.verify import BUFFER, Proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

    from fallback.chunks import Chunks
    from fallback.ledger import Response
    from fallback.manifest import File

WRITEBACK_BYTES, WRITEBACK_PARTS = 8 << 20, 16
"""So much is waited for before the disk is told of it: a smaller file is synced as soon. And a part of what there is:
each call has the system look for pages to drop, which for 5 GB in steps of 8 MiB took longer than to write them."""


class Partial:
    """One file's bytes so far; `fresh` or `adoption.adopt` makes one."""

    def __init__(self, target: Path, file: File, path: Path, ledger: Ledger, descriptor: int) -> None:
        self._target, self._file = target, file
        self.path, self.ledger = path, ledger
        self._stream = os.fdopen(descriptor, "r+b", buffering=0)
        self.proof = Proof(file)
        self._on_its_way = 0
        self.inherited = 0
        """Bytes that another run wrote: this machine's disk may be to blame for them, too."""

    @classmethod
    def fresh(cls, target: Path, file: File) -> Self:
        """A new one beside `target`, whose folder exists."""
        path, ledger = own_names(target, file, secrets.token_hex(2))
        with storage(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        partial = cls(target, file, path, Ledger(ledger), descriptor)
        partial.ledger.begin()
        return partial

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return self.proof.size

    @property
    def left(self) -> int:
        """Bytes that are still to come; 0 once it is let go, or if nobody knows."""
        return 0 if self._stream.closed else max(0, (self._file.size or 0) - self.size)

    def start_for(self, source: str) -> int:
        """The byte from which `source` may write on: 0 where bytes of several are not to be mixed again."""
        return 0 if self.ledger.pure and self.ledger.only() not in {None, source} else self.size

    def begin(self, response: Response) -> None:
        """A response writes from its start on: where this one ends, or anew from zero."""
        if response.start == 0 and (self.size or self.ledger.responses):
            self.reset(pure=self.ledger.pure)
        self.ledger.add(response)

    def blamed(self) -> str | None:
        """Who wrote wrong bytes: the source that wrote all of them in this run; None: nobody can say.

        Two responses of one source may be of two versions of the file, and only when that was tried
        again from zero is the source to blame (DESIGN, "A partial has one writer").
        """
        several = len(self.ledger.responses) > 1 and not self.ledger.pure
        return None if self.inherited or several else self.ledger.only()

    def reset(self, *, pure: bool = False) -> None:
        """Forget what it holds; `pure`: from now on it takes bytes of one source only."""
        with storage(self.path):
            self._stream.seek(0)
            self._stream.truncate()
        self.proof, self.inherited, self._on_its_way = Proof(self._file), 0, 0
        self.ledger.begin(pure=pure)

    def write(self, data: bytes) -> None:
        """Append, and take into the proof: in this order, for what is proven wrong is looked at on the disk (`wrong`)."""
        with storage(self.path):
            _write_all(self._stream, data)
        self.proof.update(data)
        if self.size - self._on_its_way >= max(WRITEBACK_BYTES, self.size // WRITEBACK_PARTS):
            self._send_on()
        if self.size > BUFFER:
            self.ledger.keep()

    def _send_on(self) -> None:
        """Have the system begin to write down what has come since: the sync at the end waits for the rest alone."""
        with contextlib.suppress(OSError, AttributeError):  # macOS has no such call
            # Linux starts to write what is dirty there, and waits for none of it (mm/fadvise.c).
            os.posix_fadvise(
                self._stream.fileno(),
                self._on_its_way,
                self.size - self._on_its_way,
                os.POSIX_FADV_DONTNEED,
            )
        self._on_its_way = self.size

    def wrong(self, chunks: Chunks, over: Callable[[], bool]) -> Chunks:
        """Those of `chunks` that it does not hold as they are; what was not looked at when the run is `over` counts, too."""
        found = []
        with storage(self.path):
            for chunk in chunks:
                size = chunk.stop - chunk.start
                if over() or not chunk.is_of(os.pread(self._stream.fileno(), size, chunk.start)):
                    found.append(chunk)
        return tuple(found)

    def patch(self, data: bytes | bytearray, response: Response) -> None:
        """Write over what `response` has proven to be wrong; the proof of the whole must begin anew (`rehash`)."""
        self.ledger.keep()
        self.ledger.add(response)
        view, at = memoryview(data), response.start
        with storage(self.path):
            while view:
                count = os.pwrite(self._stream.fileno(), view, at)
                view, at = view[count:], at + count

    def sync(self) -> None:
        """Bytes to the disk, before the name that vouches for them."""
        with storage(self.path):
            os.fsync(self._stream.fileno())

    def rename(self) -> os.stat_result:
        """Give it the target's name. Somebody may have taken or deleted ours meanwhile: then a copy gets it.

        Returns:
            what it is then, by its descriptor: the name may stand for another file the next moment.
        """
        with storage(self._target):
            try:
                self.path.replace(self._target)
            except FileNotFoundError:
                self._copy_out()
                self.path.replace(self._target)
            about = os.fstat(self._stream.fileno())
        self._stream.close()
        self.ledger.remove()
        return about

    def close(self) -> None:
        """Let go: under a name that any run may adopt. An empty one is of no use to anybody."""
        if self._stream.closed:
            return
        with storage(self.path):
            held = os.fstat(self._stream.fileno()).st_size
            self._stream.close()
            if held:
                self.ledger.keep()
            if not held:
                self.path.unlink(missing_ok=True)
                self.ledger.remove()
                return
            with contextlib.suppress(FileNotFoundError):
                self.path.rename(self.ledger.path.with_suffix(PARTIAL))

    def rehash(self, over: Callable[[], bool]) -> bool:
        """Prove anew what it holds, as after a restart (P6); False if that is of no use, or the run is `over`."""
        buffer = memoryview(bytearray(BUFFER))
        self.proof = Proof(self._file, early=False)  # all of it is here: no byte is saved by an early end
        with storage(self.path):
            self._stream.seek(0)
            try:
                while count := self._stream.readinto(buffer):
                    self.proof.update(buffer[:count])
                    if over():
                        return False
            except SizeError:  # longer than the file (fault 82)
                self.reset()
        return self.size > 0

    def filled_from(self, path: Path) -> None:
        """Hold what the file at `path` does, and let go: whoever adopts it hashes it (P6)."""
        try:
            with storage(self.path), path.open("rb") as stream:
                while piece := stream.read(BUFFER):
                    _write_all(self._stream, piece)
        except BaseException:
            self.reset()
            raise
        finally:
            self.close()

    def copied(self) -> Self:
        """Its bytes in an inode that is surely ours alone; this one is deleted."""
        copy = type(self).fresh(self._target, self._file)
        copy.ledger.begin(pure=self.ledger.pure)
        for response in self.ledger.responses:
            copy.ledger.add(response)
        with storage(copy.path), copy.path.open("wb") as stream:
            self._stream.seek(0)
            shutil.copyfileobj(self._stream, stream, BUFFER)
            self._stream.close()
            self.path.unlink(missing_ok=True)
        self.ledger.remove()
        return copy

    def _copy_out(self) -> None:
        """The bytes into a new inode of ours, proven once more on the way."""
        proof = Proof(self._file)
        self._stream.seek(0)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        copy = os.fdopen(descriptor, "r+b", buffering=0)
        with self._stream as stream:
            self._stream = copy
            while piece := stream.read(BUFFER):
                proof.update(piece)
                _write_all(copy, piece)
        proof.finish()
        os.fsync(copy.fileno())


def _write_all(stream: FileIO, data: bytes) -> None:
    """All of it: a stream without a buffer may take less at a time, as the last bytes of a disk that is nearly full."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def own_names(target: Path, file: File, id_: str) -> tuple[Path, Path]:
    """How this process calls a partial of `file` and its ledger."""
    stem = f".{target.name}.{(file.sha256 or '0' * 8)[:8]}-{id_}"
    return target.with_name(f"{stem}.{owner.ourselves()}{PARTIAL}"), target.with_name(stem + LEDGER)
