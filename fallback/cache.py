"""The models folder: what is here, what is arriving, and the moment a file gets its name.

`lookup` answers from the `verified` row where size, mtime_ns, ctime_ns and inode still equal it,
and hashes otherwise; `Partial` is a file on its way; `commit` is fsync, rename, fsync of the
folder, row, in that order, so that the final name is absent or right at every instant (P1, P2).
What stands in a file's place and is not the file is set aside as `.bak`, never deleted.
Exclusions: nothing here knows where bytes come from, and every `OSError` leaves as `StorageError`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import time
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from fallback.errors import StorageError, VerificationError
from fallback.state.verified import Row
from fallback.verify import Proof, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

    from fallback.manifest import File
    from fallback.sources import Wanted
    from fallback.state.verified import Verified

PARTIAL = ".partial"
BAK = ".bak"
LOCK_S = 600.0
"""How long another process may take over one file before this one goes ahead beside it."""


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """What the system says about `path` becomes a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError.from_os(error, path) from error


class Partial:
    """A file on its way, beside its target, under a name only this process uses."""

    def __init__(self, target: Path, file: File) -> None:
        self._file = file
        self.path = target.with_name(f".{target.name}.{os.getpid():x}-{secrets.token_hex(4)}{PARTIAL}")
        self.responses = 0
        """How many responses wrote the bytes it holds: more than one, and nobody is to blame."""
        with storage(self.path):
            self._stream = self.path.open("xb", buffering=0)
        self.proof = Proof(file)

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return self.proof.size

    def begin(self, offset: int) -> None:
        """A response writes from `offset` on: from where this one ends, or anew from zero."""
        if offset == 0:
            self.reset()
        self.responses += 1

    def reset(self) -> None:
        """Forget what it holds."""
        with storage(self.path):
            self._stream.seek(0)
            self._stream.truncate()
        self.proof, self.responses = Proof(self._file), 0

    def write(self, data: bytes) -> None:
        """Append, and take into the proof."""
        self.proof.update(data)
        view = memoryview(data)
        with storage(self.path):
            while view:
                view = view[self._stream.write(view) :]

    def sync(self) -> None:
        """Bytes to the disk, before the name that vouches for them."""
        with storage(self.path):
            os.fsync(self._stream.fileno())
            self._stream.close()

    def close(self) -> None:
        """Keep what has come; an empty one is of no use to anybody."""
        with storage(self.path):
            self._stream.close()
            if not self.size:
                self.path.unlink(missing_ok=True)


class Cache:
    """The models folder and the rows that vouch for its files."""

    def __init__(self, models_dir: Path, state_dir: Path, verified: Verified) -> None:
        self._root, self._locks = models_dir, state_dir / "locks"
        self._verified = verified

    def target(self, wanted: Wanted) -> Path:
        """Where the file belongs."""
        return self._root / wanted.model.dir / wanted.file.path

    def key(self, wanted: Wanted) -> str:
        """Its name in the `verified` table: relative to the models folder."""
        return self.target(wanted).relative_to(self._root).as_posix()

    def known(self, wanted: Wanted) -> bool:
        """Whether the file is here and its row still vouches for it: no byte is read."""
        row, sha256 = self._verified.get(self.key(wanted)), wanted.file.sha256
        if row is None or sha256 is None:
            return False
        try:
            return row.matches(self.target(wanted).lstat(), sha256)
        except OSError:
            return False

    def lookup(self, wanted: Wanted, *, trust: bool = True) -> VerificationError | bool:
        """Whether the file is here: True, False, or what is wrong with what is.

        `trust`: a row that matches is enough; otherwise every byte is read.

        Raises:
            StorageError: something that is not a file stands there, or it cannot be read.
        """
        if trust and self.known(wanted):
            return True
        target = self.target(wanted)
        self._inside(target)
        with storage(target):
            try:
                about = target.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return False
            if stat.S_ISLNK(about.st_mode):
                return VerificationError("a symbolic link in the place of the file")
            if not stat.S_ISREG(about.st_mode):
                raise StorageError(target, "this is not a file; move it away and run again")
            if wanted.file.sha256 and wanted.file.size not in {None, about.st_size}:
                return VerificationError(f"{about.st_size} bytes where {wanted.file.size} were promised")
            return self._prove(wanted, target)

    def _inside(self, target: Path) -> None:
        """Refuse a folder whose symbolic links lead elsewhere: nothing there is ours to read or rename (P8)."""
        with storage(target.parent):
            if not target.parent.resolve().is_relative_to(self._root.resolve()):
                raise StorageError(target.parent, "a symbolic link leads out of the models folder")

    def _prove(self, wanted: Wanted, target: Path) -> VerificationError | bool:
        with target.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            try:
                sha256 = prove(wanted.file, stream)
            except VerificationError as error:
                self._verified.drop(self.key(wanted))
                return error
            # A row speaks of bytes that were not written to while they were read.
            if os.fstat(stream.fileno()).st_mtime_ns == before.st_mtime_ns:
                self._vouch(wanted, before, sha256, layer="cache", source="")
        return True

    def set_aside(self, wanted: Wanted) -> Path:
        """Rename what stands in the file's place; the name it is kept under."""
        target = self.target(wanted)
        kept = target.with_name(target.name + BAK)
        with storage(target):
            if kept.exists() or kept.is_symlink():
                kept = target.with_name(f"{target.name}.{time.time_ns():x}{BAK}")
            target.rename(kept)
        self._verified.drop(self.key(wanted))
        return kept

    def partial(self, wanted: Wanted, *, reserve_bytes: int) -> Partial:
        """A new partial beside the file's target; makes its folder.

        Raises:
            StorageError: it cannot be made, its folder leads out of the models folder (P8), or the
                disk has no room for it beside `reserve_bytes`. Nothing was requested yet.
        """
        target = self.target(wanted)
        with storage(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._inside(target)
            free, needed = shutil.disk_usage(target.parent).free, (wanted.file.size or 0) + reserve_bytes
        if free < needed:
            what = f"no room: {needed - free} bytes must be freed ({reserve_bytes} are kept in reserve)"
            raise StorageError(target.parent, what)
        return Partial(target, wanted.file)

    def commit(self, wanted: Wanted, partial: Partial, *, layer: str, source: str) -> None:
        """Prove the whole file once more by its running hash, and give it its name.

        Raises:
            VerificationError: it is not the file; nothing was renamed.
            StorageError: the disk failed; the final name is as it was.
        """
        sha256 = partial.proof.finish()
        partial.sync()
        target = self.target(wanted)
        with storage(target):
            if target.is_dir() and not target.is_symlink():
                raise StorageError(target, "this is not a file; move it away and run again")
            partial.path.replace(target)
            _sync_folder(target.parent)
            about = target.lstat()
        self._vouch(wanted, about, sha256, layer=layer, source=source)

    def _vouch(self, wanted: Wanted, about: os.stat_result, sha256: str, *, layer: str, source: str) -> None:
        row = Row(
            size=about.st_size,
            mtime_ns=about.st_mtime_ns,
            ctime_ns=about.st_ctime_ns,
            inode=about.st_ino,
            sha256=sha256,
            verified_at=time.time(),
            layer=layer,
            source=source,
        )
        self._verified.put(self.key(wanted), row)

    @contextlib.contextmanager
    def lock(self, wanted: Wanted, cancelled: Callable[[], bool]) -> Iterator[bool]:
        """Hold the file's lock; False if there is none to be had, within `LOCK_S` or before `cancelled`.

        It saves a second download and nothing else: who has no lock goes on without (P10).
        """
        name = hashlib.sha256(self.key(wanted).encode()).hexdigest()[:32]
        lock: BaseFileLock | None = None
        with contextlib.suppress(OSError, Timeout, NotImplementedError):
            self._locks.mkdir(parents=True, exist_ok=True)
            waiting = FileLock(self._locks / f"{name}.lock", timeout=LOCK_S)
            waiting.acquire(cancel_check=cancelled)
            lock = waiting
        try:
            yield lock is not None
        finally:
            if lock is not None:
                with contextlib.suppress(OSError):
                    lock.release()

    def sweep(self, *, partial_idle_s: float, bak_s: float) -> None:
        """Delete partials nobody has written to for so long, and files set aside longer ago than that."""
        now = time.time()
        for path in (*self._root.rglob(f".*{PARTIAL}"), *self._root.rglob(f"*{BAK}")):
            idle = partial_idle_s if path.name.endswith(PARTIAL) else bak_s
            with contextlib.suppress(OSError):
                about = path.lstat()
                # rename keeps mtime, and moves ctime: the time a file was set aside.
                last = about.st_mtime if path.name.endswith(PARTIAL) else about.st_ctime
                ours = path.name.endswith(PARTIAL) or self._set_aside_by_us(path)
                if ours and stat.S_ISREG(about.st_mode) and now - last > idle:
                    path.unlink()

    def _set_aside_by_us(self, path: Path) -> bool:
        """Whether it stands beside a file we vouch for: anybody may keep a `.bak` of his own."""
        name = path.relative_to(self._root).as_posix().removesuffix(BAK)
        return any(self._verified.get(each) is not None for each in (name, name.rpartition(".")[0]))


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power loss (P2); a file system that cannot is left at that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
